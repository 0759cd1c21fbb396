import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface CuttableProxy {
  url: string
  /** Resets every open connection and refuses new ones until `heal`. Returns how many were open. */
  cut(): number
  heal(): void
  close(): Promise<void>
}

/** A TCP relay to a port of 127.0.0.1 that can lose its connections, as networks do. */
export async function startCuttableProxy(port: number): Promise<CuttableProxy> {
  const open = new Set<Socket>()
  let broken = false
  const server = createServer((client) => {
    if (broken) return client.resetAndDestroy()
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    const count = open.size / 2
    for (const socket of open) socket.resetAndDestroy()
    return count
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      broken = true
      return cut()
    },
    heal() {
      broken = false
    },
    async close() {
      cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
