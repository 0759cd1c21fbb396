import { describe, expect, it } from 'vitest'
import { AppError } from '@/shared/errors'
import type { LogLineView } from '@/shared/views'
import { streamLines } from './event-stream'

const line = (id: number): LogLineView => ({
  id: String(id),
  step: 'build',
  stream: 'stdout',
  text: `line\u2028${id}`,
  at: '2026-11-21T00:00:00.000Z',
})
const open = new AbortController().signal

/** Waits for its end, as a live log does. */
async function* live(signal: AbortSignal, onEnd: () => void) {
  try {
    yield line(1)
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  } finally {
    onEnd()
  }
}

describe('log lines as server-sent events', () => {
  it('each have their id and one data line; the end is an event', async () => {
    const response = await streamLines(async function* () {
      yield line(1)
      yield line(2)
    }, open)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const events = (await response.text()).split('\n\n').filter(Boolean)
    expect(events.map((event) => event.split('\n')[0])).toEqual([': connected', 'id: 1', 'id: 2', 'event: end'])
    expect(JSON.parse(events[1]?.split('\n')[1]?.slice('data: '.length) ?? '')).toEqual(line(1))
  })

  it('a refusal is an error of the request, a later failure an event without inner details', async () => {
    const refused = streamLines(
      // biome-ignore lint/correctness/useYield: it fails before it yields
      async function* () {
        throw new AppError('ERR_NOT_FOUND', 'no such deployment')
      },
      open,
    )
    await expect(refused).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    const failing = await streamLines(async function* () {
      yield line(1)
      throw new AppError('ERR_UNAVAILABLE', 'the engine is gone')
    }, open)
    expect(await failing.text()).toContain('event: error\ndata: {"error":{"code":"ERR_UNAVAILABLE","message":"the engine is gone"}}')
  })

  it('the source ends when the reader leaves, and when the connection is lost', async () => {
    let ended = 0
    const left = await streamLines((signal) => live(signal, () => ended++), open)
    const reader = left.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    await expect.poll(() => ended).toBe(1)
    const client = new AbortController()
    const lost = await streamLines((signal) => live(signal, () => ended++), client.signal)
    const text = lost.text()
    client.abort()
    expect(await text).toContain('id: 1')
    expect(ended).toBe(2)
  })
})
