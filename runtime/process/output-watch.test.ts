import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OutputWatch } from './output-watch'

let directory: string
let looks: number
let written: number
let watch: OutputWatch
const still = new AbortController().signal

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'switchyard-output-'))
  looks = 0
  written = 0
  watch = new OutputWatch(
    async () => {
      looks++
      return written
    },
    () => {},
    { busyMs: 5, quietAfterMs: 20 },
  )
})
afterEach(() => {
  watch.close()
  rmSync(directory, { recursive: true, force: true })
})

async function untilQuiet(): Promise<void> {
  for (let before = -1; before !== looks; ) {
    before = looks
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

test('an instance that writes nothing is not looked at, and its next line is found at once', async () => {
  watch.add('a', directory, null)
  await untilQuiet()
  const before = looks
  const news = watch.next('a', still)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(looks).toBe(before)
  written = 1
  appendFileSync(path.join(directory, 'stdout'), 'a line\n')
  await news
  expect(looks).toBeGreaterThan(before)
})

test('readers are resumed when an instance ends, is removed, or they leave', async () => {
  watch.add('a', directory, null)
  await untilQuiet()
  const ended = watch.next('a', still)
  watch.ended('a')
  await ended
  const left = new AbortController()
  const leaving = watch.next('a', left.signal)
  left.abort()
  await leaving
  const removed = watch.next('a', still)
  watch.remove('a')
  await removed
})

test('the end of an instance that is no child of ours resumes its readers', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  try {
    const adopting = new OutputWatch(
      async () => 0,
      () => {},
    )
    adopting.add('a', directory, { pid: 2 ** 22 + 1, startTicks: 1, bootId: 'this' })
    const over = adopting.next('a', still)
    vi.advanceTimersByTime(5_000)
    await over
    adopting.close()
  } finally {
    vi.useRealTimers()
  }
})

test('where the kernel watches nothing, an instance is looked at on and on', async () => {
  watch.add('a', path.join(directory, 'missing'), null)
  // Several looks without any notice from the kernel.
  const before = looks
  await vi.waitFor(() => expect(looks).toBeGreaterThan(before + 2), { timeout: 10_000 })
})
