import { describe, expect, it } from 'vitest'
import { maxBuildLogLines, maxLogLineBytes } from '@/shared/logs'
import { BuildLog, LineSplitter } from './log'

const split = (...chunks: (string | Buffer)[]) => {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line))
  for (const chunk of chunks) splitter.push(Buffer.from(chunk as string))
  splitter.end()
  return lines
}

describe('lines of a build', () => {
  it('are cut at line ends, whatever the chunks, with multi-byte characters whole', () => {
    const bytes = Buffer.from('größe\nzwei')
    expect(split(bytes.subarray(0, 3), bytes.subarray(3))).toEqual(['größe', 'zwei'])
  })
  it('keep the last state of a line that was redrawn, and no NUL', () => {
    expect(split('10%\r50%\r100%\r\nnext\0\n')).toEqual(['100%', 'next'])
  })
  it('keep the text that ends a line, however long it was redrawn before', () => {
    const progress = Array.from({ length: 3000 }, (_, i) => `\r[progress] ${i} ${'#'.repeat(40)}`)
    expect(split(...progress, '\rFINAL-LINE-AFTER-PROGRESS\n', 'next\n')).toEqual(['FINAL-LINE-AFTER-PROGRESS', 'next'])
    expect(split(...progress.map((text) => text.replace('\r', '\u001b[2K\u001b[1G')), '\u001b[1Gdone\r\n')).toEqual(['done'])
    expect(split('x'.repeat(100_000), ...progress, '\rERROR the real reason\n')).toEqual([expect.stringMatching(/^x+$/), 'ERROR the real reason'])
  })
  it('are valid text when the bytes are not', () => {
    expect(split(Buffer.from([0xff, 0x0a]))).toEqual(['\uFFFD'])
  })
  it('hold no more memory than a bound when no line end ever comes', () => {
    const lines = split(...Array.from({ length: 40 }, () => 'x'.repeat(10_000)), '\nafter\n')
    expect(lines.length).toBe(2)
    expect(lines[1]).toBe('after')
  })
})

describe('the log of a build', () => {
  it('keeps the beginning and the end of what is too long, and says how much is left out between them', () => {
    const kept: string[] = []
    const log = new BuildLog((line) => kept.push(line.text), {})
    for (let i = 0; i < maxBuildLogLines + 1000; i++) log.line('build', 'stdout', String(i))
    log.endStep()
    expect(kept.length).toBe(maxBuildLogLines + 2)
    expect(kept[0]).toBe('0')
    expect(kept.slice(45_000, 45_003)).toEqual([
      expect.stringContaining('has reached 45000 lines'),
      '1000 lines of the middle are left out here.',
      '46000',
    ])
    expect(kept.at(-1)).toBe(String(maxBuildLogLines + 999))
    log.line('package', 'stdout', 'of the next step')
    log.endStep()
    expect(kept.at(-1)).toBe('of the next step')
  })
  it('keeps lines within the bound, cut between characters', () => {
    const kept: string[] = []
    new BuildLog((line) => kept.push(line.text), {}).line('build', 'stdout', 'ü'.repeat(maxLogLineBytes))
    expect(Buffer.byteLength(kept[0] ?? '')).toBeLessThanOrEqual(maxLogLineBytes)
    expect(kept[0]).toMatch(/^ü+ … \(cut\)$/)
  })
  it('does not show a secret that crosses the cut', () => {
    const kept: string[] = []
    new BuildLog((line) => kept.push(line.text), { KEY: 'long-secret-value' }).line(
      'build',
      'stdout',
      `${'x'.repeat(maxLogLineBytes - 24)}long-secret-value`,
    )
    expect(kept[0]).not.toContain('long-s')
  })
})
