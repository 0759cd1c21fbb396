import type net from 'node:net'
import type { RouterLog } from '../../log'
import type { ListenAddress } from '../engine'

/**
 * Binds a listener to its address; later errors are logged.
 * @throws Error of the system when the address cannot be bound.
 */
export async function bind(server: net.Server, { host, port, reusePort }: ListenAddress, log: RouterLog): Promise<{ host: string; port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, reusePort, backlog: 4096 }, () => {
      server.off('error', reject)
      server.on('error', (error) => log.error({ err: error }, 'listener error'))
      resolve()
    })
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the listener has no address')
  return { host: bound.address, port: bound.port }
}
