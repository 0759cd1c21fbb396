import { describe, expect, it, vi } from 'vitest'
import { parseAnsi, plainText } from './ansi'
import { LogBuffer } from './log-buffer'
import { layoutRows, lineAtRow } from './row-layout'

const line = (id: number, text = `line ${id}`) => ({ id: String(id), step: 'build', stream: 'stdout' as const, text, at: '2026-11-21T00:00:00.000Z' })

describe('LogBuffer', () => {
  it('tells its readers once for a burst of lines', async () => {
    const buffer = new LogBuffer()
    const reader = vi.fn()
    buffer.subscribe(reader)
    for (let id = 1; id <= 5000; id++) buffer.append(line(id))
    await vi.waitFor(() => expect(reader).toHaveBeenCalled())
    expect(reader).toHaveBeenCalledTimes(1)
    expect(buffer.getSnapshot().lines).toHaveLength(5000)
  })

  it('leaves out the line that a resumed stream sends again', async () => {
    const buffer = new LogBuffer()
    buffer.append(line(1))
    buffer.append(line(1))
    buffer.append(line(2))
    await vi.waitFor(() => expect(buffer.getSnapshot().lines.map((each) => each.id)).toEqual(['1', '2']))
    expect(buffer.lastId).toBe('2')
  })

  it('keeps the newest lines of an endless log, and their numbers', async () => {
    const buffer = new LogBuffer(100)
    for (let id = 1; id <= 1000; id++) buffer.append(line(id))
    await vi.waitFor(() => expect(buffer.getSnapshot().lines.length).toBeGreaterThan(0))
    const { lines, dropped } = buffer.getSnapshot()
    expect(lines.length).toBeLessThanOrEqual(110)
    expect(lines.at(-1)?.number).toBe(1000)
    expect(lines[0]?.number).toBe(dropped + 1)
  })
})

describe('colours of a terminal', () => {
  it('become spans, and are gone from the text that is searched and copied', () => {
    const raw = '\u001b[32mready\u001b[0m in \u001b[1m2s\u001b[0m'
    expect(plainText(raw)).toBe('ready in 2s')
    expect(parseAnsi(raw)).toMatchObject([{ text: 'ready', className: 'ansi-green' }, { text: ' in ' }, { text: '2s', className: 'font-semibold' }])
  })
  it('are kept from the palette of 256 and from 24 bits', () => {
    expect(parseAnsi('\u001b[38;5;196mred\u001b[0m')[0]?.style).toEqual({ color: 'rgb(255, 0, 0)' })
    expect(parseAnsi('\u001b[38;2;1;2;3mx\u001b[0m')[0]?.style).toEqual({ color: 'rgb(1, 2, 3)' })
  })
  it('leave markup as text', () => {
    expect(parseAnsi('\u001b[31m<img onerror=x>\u001b[0m')[0]?.text).toBe('<img onerror=x>')
  })
  it('show of a progress bar what a terminal would show', () => {
    expect(plainText('10%\r50%\r100%\r')).toBe('100%')
  })
})

describe('layout of rows', () => {
  it('breaks long lines and finds the line of every row', () => {
    const lines = ['a'.repeat(5), 'b'.repeat(25), '', 'c'].map((text, index) => ({ ...line(index, text), number: index + 1, plain: text }))
    const starts = layoutRows(lines, 10)
    expect([...starts]).toEqual([0, 1, 4, 5, 6])
    expect([0, 1, 2, 3, 4, 5, 99].map((row) => lineAtRow(starts, row))).toEqual([0, 1, 1, 1, 2, 3, 3])
  })
  it('counts two columns for a wide character', () => {
    expect([...layoutRows([{ ...line(1), number: 1, plain: '你好世界' }], 4)]).toEqual([0, 2])
  })
  it('has an answer for a log without lines', () => {
    expect([...layoutRows([], 80)]).toEqual([0])
    expect(lineAtRow(layoutRows([], 80), 3)).toBe(0)
  })
})
