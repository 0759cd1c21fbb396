import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { factsOf, liveRoute } from '../gate/testing'
import { HostTable } from '../match/host-table'
import { OpenFiles } from './open-files'
import { StaticFiles } from './static-content'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-open-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** Which files below the directory this process has open. */
async function opened(): Promise<string[]> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return links.filter((link) => link.startsWith(directory)).map((link) => path.basename(link))
}

test('a reader that leaves while it is given a piece holds no file open', async () => {
  for (const name of ['a', 'b']) await writeFile(path.join(directory, name), Buffer.alloc(200_000))
  const files = new OpenFiles(1)
  const left = files.read(path.join(directory, 'a'), 0, 199_999)
  left.on('data', () => left.destroy())
  await finished(left).catch(() => {})
  const whole = files.read(path.join(directory, 'b'), 0, 199_999)
  await finished(whole.resume())
  await expect.poll(opened).toEqual(['b'])
  files.close()
  await expect.poll(opened).toEqual([])
})

test('a site that left the table holds none of its large files open, whose room on disk would not become free', async () => {
  await writeFile(path.join(directory, 'film.bin'), Buffer.alloc(2_000_000))
  const files = new StaticFiles()
  const route = liveRoute({ content: { digest: 'sha256:1', directory, spa: false } })
  const answer = await files.find(route, '/film.bin', factsOf('/film.bin'))
  if (answer?.body === null || answer === null || Buffer.isBuffer(answer.body)) throw new Error('it is not read from disk')
  expect(await buffer(answer.body.open())).toHaveLength(2_000_000)
  expect(await opened()).toEqual(['film.bin'])
  files.apply(new HostTable({ version: 1, generatedAt: '', dashboardUrl: '', routes: [] }))
  await expect.poll(opened).toEqual([])
  files.close()
})
