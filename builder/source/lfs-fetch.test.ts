import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseAddress } from './address'
import { fetchLargeFiles } from './lfs-fetch'

const content = randomBytes(400_000)
const oid = createHash('sha256').update(content).digest('hex')
const half = content.length / 2

let root: string
let server: Server
let downloads: ServerResponse[]
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'lfs-fetch-'))
  downloads = []
  server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      downloads.push(response)
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, half))
      return
    }
    for await (const _ of request);
    const href = `http://${request.headers.host}/object`
    response.end(JSON.stringify({ objects: [{ oid, actions: { download: { href } } }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(root, { recursive: true, force: true })
})

test('two builds of one project that fetch the same object at once both get it whole', async () => {
  const { port } = server.address() as AddressInfo
  const objectsDirectory = path.join(root, 'objects')
  const fetchInto = async (name: string) => {
    const directory = path.join(root, name)
    await mkdir(directory)
    await writeFile(path.join(directory, 'big.bin'), 'pointer')
    await fetchLargeFiles(
      {
        address: parseAddress(`http://127.0.0.1:${port}/shop.git`),
        configuredUrl: null,
        directory,
        objectsDirectory,
        allowPrivateNetwork: true,
        signal: AbortSignal.timeout(20_000),
      },
      [{ name: 'big.bin', oid, sizeBytes: content.length }],
    )
    return (await readFile(path.join(directory, 'big.bin'))).equals(content)
  }
  const first = fetchInto('first')
  while (downloads.length < 1) await wait(5)
  await wait(100)
  const second = fetchInto('second')
  while (downloads.length < 2) await wait(5)
  await wait(100)
  downloads[0]?.end(content.subarray(half))
  expect(await first).toBe(true)
  downloads[1]?.end(content.subarray(half))
  expect(await second).toBe(true)
  expect(await readdir(objectsDirectory)).toEqual([oid])
})
