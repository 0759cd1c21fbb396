import { createServer } from 'node:net'

/** Below the range Linux takes ports of its own choice from (32768 on): nobody is given such a port between our look and its use. */
const firstPort = 10_000
const sliceSize = 1_000
const slices = 10
/** Whoever runs at the same time looks in a slice of its own: the lanes of `npm test`, and the workers of each. */
const slice = (Number(process.env.SWITCHYARD_TEST_LANE ?? 0) * 5 + Number(process.env.VITEST_POOL_ID ?? 0)) % slices
let next = Math.floor(Math.random() * sliceSize)

/** A free port. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const [port] = await freePorts(1, host)
  return port as number
}

/** `count` different free ports, which this process does not hand out again soon. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = []
  for (let tried = 0; ports.length < count; tried++) {
    if (tried === sliceSize) throw new Error(`no free port from ${firstPort + slice * sliceSize} on`)
    const port = firstPort + slice * sliceSize + (next++ % sliceSize)
    if (await isFree(port, host)) ports.push(port)
  }
  return ports
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
