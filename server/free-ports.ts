import { createServer } from 'node:net'
import { AppError } from '@/shared/errors'

/**
 * Whether no program listens on the port. `exclusive` (no SO_REUSEPORT): two programs that share a port would each get half of the other's
 * connections without an error.
 */
export function isPortFree(port: number, host?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    server.listen({ port, ...(host === undefined ? {} : { host }), exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** @throws AppError ERR_INVALID_INPUT naming every setting whose port is in use; port 0 is skipped */
export async function requireFreePorts(wanted: Record<string, number>): Promise<void> {
  const taken: string[] = []
  for (const [setting, port] of Object.entries(wanted)) if (port !== 0 && !(await isPortFree(port))) taken.push(`${setting} ${port}`)
  if (taken.length === 0) return
  throw new AppError('ERR_INVALID_INPUT', `Already in use: ${taken.join(', ')}.`, {
    nextAction: 'Stop what listens there (ss -ltnp shows it; it may be another Switchyard), or set these variables to free ports.',
  })
}
