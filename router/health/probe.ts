import net from 'node:net'
import type { Target } from '@/shared/route-table'

const probeTimeoutMs = 1_000

/** Whether the target accepts a TCP connection within a second. Sends no bytes, so the app sees no request. */
export function probeTarget(target: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: target.host, port: target.port })
    const settle = (accepts: boolean) => {
      socket.destroy()
      resolve(accepts)
    }
    socket.setTimeout(probeTimeoutMs, () => settle(false))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}
