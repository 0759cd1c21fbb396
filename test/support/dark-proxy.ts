import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

export interface DarkProxy {
  port: number
  /** Passes bytes on, or goes dark: `refuse` closes the port and every connection, `hang` takes connections and says nothing. */
  set(mode: 'open' | 'refuse' | 'hang'): Promise<void>
  close(): Promise<void>
}

/** A TCP proxy in front of a server, which can be switched off as outages do it. */
export async function startDarkProxy(targetPort: number): Promise<DarkProxy> {
  let mode: 'open' | 'refuse' | 'hang' = 'open'
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    keep(client)
    if (mode === 'refuse') return void client.destroy()
    if (mode === 'hang') return
    const upstream = connect(targetPort, '127.0.0.1')
    keep(upstream)
    client.pipe(upstream).pipe(client)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const shut = () => {
    for (const socket of sockets) socket.destroy()
    return server.listening ? new Promise<void>((resolve) => server.close(() => resolve())) : Promise.resolve()
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    async set(next) {
      if (next === mode) return
      mode = next
      await shut()
      if (mode !== 'refuse') await listen(port)
    },
    close: shut,
  }
}
