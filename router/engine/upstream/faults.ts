import type { EngineLimits } from '../../env'
import type { ForwardPlan, OutsideTarget } from '../../gate/gate'
import type { Problem } from '../../pages/pages'

/** The connection to an instance was not established in time. */
export class ConnectTimeout extends Error {
  readonly code = 'ECONNECTTIMEOUT'
}

/** The instance received the request and was silent for too long. */
export class UpstreamSilence extends Error {
  readonly code = 'EUPSTREAMSILENCE'
}

/** The instance answered 101 to a request without Upgrade. */
export class UnaskedUpgrade extends Error {
  readonly code = 'HPE_UNASKED_UPGRADE'
}

/**
 * Maximum bytes of interim answers (1xx) per request. They are forwarded at once, and bytes that a client does not read would be buffered
 * without bound.
 */
export const maxInterimBytes = 65_536

/** The instance exceeded the limit on interim answers. */
export class InterimFlood extends Error {
  readonly code = 'HPE_INTERIM_FLOOD'
}

/** A stream may be silent for hours: after this time TCP keep-alive checks that the peer still exists. */
export const quietProbeMs = 30_000

/** Reasons of a failed attempt, as shown on error pages. */
export type UpstreamFault = 'refused' | 'reset' | 'connect-timeout' | 'answer-timeout' | 'bad-answer'

const neverConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EADDRNOTAVAIL', 'ENETDOWN', 'EINVAL'])

/** Maps an error of an upstream request to a fault. */
export function faultOf(error: Error): UpstreamFault {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // Established connections may fail with the same codes.
  const stood = 'syscall' in error && (error.syscall === 'read' || error.syscall === 'write')
  if (code === 'ECONNECTTIMEOUT' || (code === 'ETIMEDOUT' && !stood)) return 'connect-timeout'
  if (code === 'EUPSTREAMSILENCE') return 'answer-timeout'
  if (code.startsWith('HPE_') || /^(ERR_TLS|ERR_SSL|CERT_|EPROTO|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) return 'bad-answer'
  return neverConnected.has(code) && !stood ? 'refused' : 'reset'
}

/** No connection was established: any request may be sent to another instance, whatever its method. */
export const sentNothing = (fault: UpstreamFault): boolean => fault === 'refused' || fault === 'connect-timeout'

/** Timeout for silence of an instance before and within its answer: the project's limit, else the router's. */
export const silenceLimitMs = ({ route }: ForwardPlan, limits: EngineLimits): number => route.policy.answerTimeoutMs ?? limits.upstreamTimeoutMs

/** The page for an upstream fault. */
export function upstreamProblem(fault: UpstreamFault, plan: ForwardPlan, limits: EngineLimits): Problem {
  const { route } = plan
  const named = { host: route.host, projectName: route.projectName }
  if (fault === 'connect-timeout') return { kind: fault, ...named, timeoutMs: limits.connectTimeoutMs }
  if (fault === 'answer-timeout') return { kind: fault, ...named, timeoutMs: silenceLimitMs(plan, limits) }
  return { kind: fault, ...named }
}

/** The problem shown when the router itself throws. */
export const internalProblem: Problem = {
  kind: 'bad-request',
  status: 500,
  detail: 'The router failed on this request; its log says why. Other requests are served.',
}

/** The Host header for a host outside the table. */
export function outsideHost({ scheme, hostname, port }: OutsideTarget): string {
  return port === (scheme === 'https' ? 443 : 80) ? hostname : `${hostname}:${port}`
}

/** The request body exceeds the limit of its project. */
export const tooLarge = (limit: number): Problem => ({
  kind: 'bad-request',
  status: 413,
  detail: `The body of the request is larger than the ${limit} bytes this project takes.`,
})
