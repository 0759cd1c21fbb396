import { appendFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InstanceLog } from './log-files'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sy-log-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const write = (stream: string, text: string) => appendFile(path.join(directory, stream), text)
async function texts(log: InstanceLog, cursor?: string, last = false) {
  return (await Array.fromAsync(log.reader(cursor).next(last))).map((line) => line.text)
}

describe('InstanceLog', () => {
  it('keeps the order of the streams from mark to mark, for the next reader too', async () => {
    const log = new InstanceLog(directory)
    for (const i of [1, 2, 3]) {
      await write('stdout', `out ${i}\n`)
      await log.tick()
      await write('stderr', `err ${i}\n`)
      await log.tick()
    }
    const expected = ['out 1', 'err 1', 'out 2', 'err 2', 'out 3', 'err 3']
    expect(await texts(log)).toEqual(expected)
    expect(await texts(new InstanceLog(directory))).toEqual(expected)
  })

  it('resumes behind every single cursor', async () => {
    const log = new InstanceLog(directory)
    await write('stdout', 'a\nb\nc\n')
    await write('stderr', 'x\ny\n')
    const all = await Array.fromAsync(log.reader().next())
    for (const [index, line] of all.entries()) expect(await texts(log, line.cursor)).toEqual(all.slice(index + 1).map((one) => one.text))
  })

  it('shows a line when it is whole, and the rest at the end', async () => {
    const log = new InstanceLog(directory)
    await write('stdout', 'whole\nhal')
    const reader = log.reader()
    expect((await Array.fromAsync(reader.next())).map((line) => line.text)).toEqual(['whole'])
    await write('stdout', 'f\nend')
    expect((await Array.fromAsync(reader.next())).map((line) => line.text)).toEqual(['half'])
    expect((await Array.fromAsync(reader.next(true))).map((line) => line.text)).toEqual(['end'])
  })

  it('gives a line that is too long in pieces, each a whole number of characters, nothing left out', async () => {
    const log = new InstanceLog(directory)
    const long = 'größe '.repeat(3000)
    await write('stdout', `${long}\nnext\n`)
    const lines = await Array.fromAsync(log.reader().next())
    expect(lines.map((line) => line.cut)).toEqual(['continued', 'continued', undefined, undefined])
    expect(
      lines
        .map((line) => line.text)
        .join('\n')
        .replace(/\n(?!next)/g, ''),
    ).toBe(`${long}\nnext`)
    expect(await texts(log, lines[0]?.cursor)).toEqual(lines.slice(1).map((line) => line.text))
  })

  it('cuts a flood: the disk stays bounded, the end stays readable, cursors stay true', async () => {
    const log = new InstanceLog(directory, 10_000)
    let count = 0
    for (let round = 0; round < 20; round++) {
      await write('stdout', Array.from({ length: 200 }, () => `line ${count++}\n`).join(''))
      await log.tick()
    }
    const sizes = await Promise.all((await readdir(directory)).map(async (name) => (await stat(path.join(directory, name))).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(25_000)
    const lines = await Array.fromAsync(log.reader().next())
    expect(lines.at(-1)?.text).toBe('line 3999')
    const numbers = lines.slice(1).map((line) => Number(line.text.slice(5)))
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => 4000 - numbers.length + i))
    expect(await texts(new InstanceLog(directory, 10_000), lines.at(-3)?.cursor)).toEqual(['line 3998', 'line 3999'])
  })

  it('does not collect a line without an end in memory', async () => {
    const log = new InstanceLog(directory)
    await write('stdout', 'x'.repeat(100_000))
    const lines = await texts(log)
    expect(lines.length).toBe(12)
    expect(lines.every((line) => Buffer.byteLength(line) <= 8 * 1024)).toBe(true)
  })
})
