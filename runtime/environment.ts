import type { InstanceSpec } from './driver'

/**
 * Node sizes its heap by the memory of the machine, not by the limit: in a 200 MB container it would use 259 MB and be killed without an error
 * message.
 */
const heapShare = 0.75

/** NODE_OPTIONS with a heap that fits the memory limit, unless the user set one. */
export function withHeapLimit(nodeOptions: string | undefined, memoryBytes: number): string {
  const given = nodeOptions?.trim() ?? ''
  if (/--max[-_](old[-_]space|heap)[-_]size/.test(given)) return given
  const megabytes = Math.max(32, Math.floor((memoryBytes * heapShare) / (1024 * 1024)))
  return `${given} --max-old-space-size=${megabytes}`.trim()
}

/** Size of the headers that the router adds: X-Forwarded-*, X-Real-IP, X-Request-Id. */
const routerLinesBytes = 4_096

/** NODE_OPTIONS that accept every request head that routers forward (Node's default limit is 16 KiB), unless the user set a limit. */
export function withHeaderLimit(nodeOptions: string, maxHeaderBytes: number): string {
  if (/--max[-_]http[-_]header[-_]size/.test(nodeOptions)) return nodeOptions
  return `${nodeOptions} --max-http-header-size=${maxHeaderBytes + routerLinesBytes}`.trim()
}

/** Environment of an instance. The address set by the driver overrides user variables. */
export function instanceEnvironment(spec: InstanceSpec, address: { host: string; port: number }): Record<string, string> {
  const env: Record<string, string> = { NODE_ENV: 'production', ...spec.artifact.start.env, ...spec.env }
  env.NODE_OPTIONS = withHeaderLimit(withHeapLimit(env.NODE_OPTIONS, spec.limits.memoryBytes), spec.maxHeaderBytes)
  return { ...env, PORT: String(address.port), HOST: address.host, HOSTNAME: address.host }
}
