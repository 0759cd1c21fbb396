import { describe, expect, it } from 'vitest'
import { linesAfter, readLines, sinceOf } from './log-lines'

const frame = (stream: 1 | 2, text: string) => {
  const content = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(content.length, 4)
  return Buffer.concat([header, content])
}
const time = (ns: number) => `2026-11-21T05:00:00.${String(ns).padStart(9, '0')}Z`
async function* inPieces(whole: Buffer, size: number) {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
}
const parse = (frames: Buffer[], size = 7) => Array.fromAsync(readLines(inPieces(Buffer.concat(frames), size)))

describe('readLines', () => {
  it('reads frames however the bytes are cut', async () => {
    const frames = [frame(1, `${time(1)} one\n`), frame(2, `${time(2)} zwölf\r\n`), frame(1, `${time(3)} \n`)]
    for (const size of [1, 3, 8, 1000])
      expect((await parse(frames, size)).map((line) => [line.stream, line.text])).toEqual([
        ['stdout', 'one'],
        ['stderr', 'zwölf'],
        ['stdout', ''],
      ])
  })

  it('puts a line together again that the engine has cut', async () => {
    const lines = await parse([
      frame(1, `${time(1)} first `),
      frame(2, `${time(2)} other\n`),
      frame(1, `${time(3)} second\n`),
      frame(1, `${time(4)} open`),
    ])
    expect(lines.map((line) => line.text)).toEqual(['other', 'first second', 'open'])
  })

  it('bounds a line', async () => {
    const lines = await parse(
      [frame(1, `${time(1)} ${'x'.repeat(16_000)}`), frame(1, `${time(2)} ${'x'.repeat(16_000)}\n`), frame(1, `${time(3)} next\n`)],
      5_000,
    )
    expect(Buffer.byteLength(lines[0]?.text ?? '')).toBeLessThanOrEqual(8 * 1024)
    expect(lines[1]?.text).toBe('next')
  })
})

describe('behind', () => {
  const frames = [1, 2, 2, 2, 1, 5].map((ns, index) => frame(1, `${time(ns)} ${index}\n`))

  it('goes on behind every cursor, with equal times and times out of order', async () => {
    const lines = await parse(frames)
    for (const [index, line] of lines.entries()) {
      const rest = await Array.fromAsync(linesAfter(readLines(inPieces(Buffer.concat(frames), 50)), line.cursor))
      // the fifth line has the first one's time and place: the only ambiguity, and it repeats rather than loses
      expect(rest.map((one) => one.text)).toEqual(lines.slice((index === 4 ? 0 : index) + 1).map((one) => one.text))
    }
  })

  it('begins with what is later when the line itself is gone', async () => {
    const rest = await Array.fromAsync(linesAfter(readLines(inPieces(Buffer.concat(frames), 50)), `${time(3)}/0`))
    expect(rest.map((one) => one.text)).toEqual(['5'])
    expect(sinceOf(`${time(3)}/0`)).toBe('1795237199')
  })
})
