import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasPage } from './static-stage'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-pages-'))
  await mkdir(path.join(directory, 'docs'))
  for (const file of ['index.html', 'about us.html', '100%.html', 'docs/index.html']) await writeFile(path.join(directory, file), file)
})
afterAll(() => rm(directory, { recursive: true, force: true }))
const has = (wanted: string, spa = false) => hasPage({ digest: 'sha256:0', directory, spa }, wanted)

test('the page a health check names is found as the routers find it, whatever is typed as its path', async () => {
  for (const there of ['/', '/index.html', '/about%20us', '/docs', '/docs/', '/?x=1', '/100%', '/100%25'])
    expect([there, await has(there)]).toEqual([there, true])
  for (const missing of ['/%', '/%E0%A4%A', '/none', '/../../etc/hostname', '/%00']) expect([missing, await has(missing)]).toEqual([missing, false])
  expect(await has('/any/where', true)).toBe(true)
})
