import { copyFile, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFileFacts } from './file-facts'

let directory: string
let kept: string
let program: string
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'facts-'))
  kept = path.join(directory, 'facts.json')
  program = path.join(directory, 'program')
  await copyFile('/bin/ls', program)
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

test('after a restart the record answers for a program that has not changed, and neither the linker nor a hash is needed', async () => {
  const first = await openFileFacts(kept)
  expect((await first.libraries(program)).some((name) => /libc\.so/.test(name))).toBe(true)
  await first.digest(program)
  await first.save()
  // What the record says comes back: the program itself was not asked.
  const record = JSON.parse(await readFile(kept, 'utf8'))
  record[program] = { ...record[program], libraries: ['/from/the/record'], digest: 'recorded' }
  await writeFile(kept, JSON.stringify(record))
  const second = await openFileFacts(kept)
  expect(await second.libraries(program)).toEqual(['/from/the/record'])
  expect(await second.digest(program)).toBe('recorded')
})

test('a program that was replaced is looked at again, even with the old size and date', async () => {
  const first = await openFileFacts(kept)
  const digest = await first.digest(program)
  await first.save()
  const { size, mtime } = await stat(program)
  await writeFile(program, Buffer.alloc(size, 'x'))
  await utimes(program, mtime, mtime)
  expect(await (await openFileFacts(kept)).digest(program)).not.toBe(digest)
})

test('a damaged record is begun anew', async () => {
  await writeFile(kept, '{"/bin/ls":{"stam')
  const facts = await openFileFacts(kept)
  expect(await facts.digest(program)).toMatch(/^[0-9a-f]{64}$/)
  await facts.save()
  expect(await (await openFileFacts(kept)).digest(program)).toMatch(/^[0-9a-f]{64}$/)
})
