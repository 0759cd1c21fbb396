import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { layout } from './layout'
import { Ports } from './ports'

let home: string
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'sy-ports-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

describe('Ports', () => {
  it('never gives one port twice, to however many ask at once', async () => {
    const [a, b] = [new Ports(layout(home), async () => true), new Ports(layout(home), async () => true)]
    const ports = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? a : b).reserve(`instance${i % 10}`)))
    expect(new Set(ports).size).toBe(100)
  })

  it('passes over a port that somebody else listens on', async () => {
    const ports = new Ports(layout(home), async () => true)
    const first = await ports.reserve('one')
    await ports.release(first, 'one')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve))
    try {
      expect(await ports.reserve('one')).not.toBe(first)
    } finally {
      server.close()
    }
  })

  it('takes back a port of a dead instance, not one of a start under way', async () => {
    const paths = layout(home)
    const ports = new Ports(paths, async () => false)
    const mine = await ports.reserve('starting')
    await mkdir(paths.ports, { recursive: true })
    await writeFile(path.join(paths.ports, '20123'), JSON.stringify({ instanceId: 'dead', by: { pid: 4_000_000, startTicks: 1, bootId: 'x' } }))
    await writeFile(path.join(paths.ports, '20124'), 'cut sh')
    await ports.sweep()
    expect(await readdir(paths.ports)).toEqual([String(mine)])
  })

  it('is given back only by who holds it', async () => {
    const ports = new Ports(layout(home), async () => true)
    const port = await ports.reserve('one')
    await ports.release(port, 'two')
    expect(await readdir(layout(home).ports)).toEqual([String(port)])
    await ports.release(port, 'one')
    expect(await readdir(layout(home).ports)).toEqual([])
  })
})
