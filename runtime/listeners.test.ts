import net, { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { describeListeners, listenersOfNamespace, listenersOfProcesses, parseSocketTable } from './listeners'

const servers: net.Server[] = []
async function listen(host: string): Promise<number> {
  const server = net.createServer().listen(0, host)
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

describe('listening sockets', () => {
  it('of a process are read from the tables of the kernel, of its own descriptors alone', async () => {
    const port = await listen('127.0.0.1')
    expect(await listenersOfProcesses([process.pid])).toContainEqual({ address: '127.0.0.1', port })
    expect(await listenersOfNamespace(process.pid)).toContainEqual({ address: '127.0.0.1', port })
    expect(await listenersOfProcesses([1]).then((all) => all.filter((one) => one.port === port))).toEqual([])
    expect(await listenersOfProcesses([])).toEqual([])
  })

  it('have IPv6 addresses as people write them, and no row of a connection', () => {
    const row = (address: string, state: string, inode: number) =>
      `  0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000  0 ${inode} 1`
    const text = [
      '  sl  local_address rem_address   st',
      row('00000000000000000000000001000000:0BB8', '0A', 7),
      row('0000000000000000FFFF00000100007F:0BB9', '0A', 8),
      row('0100007F:0BBA', '01', 9),
    ].join('\n')
    expect(parseSocketTable(text)).toEqual([
      { address: '::1', port: 3000, inode: '7' },
      { address: '127.0.0.1', port: 3001, inode: '8' },
    ])
  })

  it.each([
    [[], 'listens on no port'],
    [[{ address: '::', port: 3999 }], 'listens on 3999, not on $PORT (3000)'],
    [[{ address: '::1', port: 3000 }], 'listens on [::1]:3000 only, and is asked at 127.0.0.1:3000: it must listen on $HOST or on 0.0.0.0'],
    [[{ address: '0.0.0.0', port: 3000 }], null],
    [
      [
        { address: '127.0.0.1', port: 3000 },
        { address: '::', port: 9229 },
      ],
      null,
    ],
    [null, null],
  ])('say what is so: %j → %s', (listeners, text) => {
    expect(describeListeners(listeners, { address: '127.0.0.1', port: 3000 })).toBe(text)
  })
})
