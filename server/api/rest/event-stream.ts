import { isAppError } from '@/shared/errors'
import { newRequestId, reportUnexpected, toHttpError } from '../http-error'

/** Interval of heartbeats: proxies and clients close silent connections; our client waits 45 s. */
const heartbeatMs = 15_000
/** Wait this long for an immediate error (unknown id, no access), which must become an HTTP status instead of an event. */
const refusalMs = 300

/** A value with the id from which a client can resume. */
type Line = { id: string }

const encoder = new TextEncoder()

/** Encodes an event. `id` is sent back as Last-Event-ID; JSON contains no line breaks, so one data line suffices. */
const eventOf = (line: Line) => encoder.encode(`id: ${line.id}\ndata: ${JSON.stringify(line)}\n\n`)

/**
 * Sends values as server-sent events: an `id` and a JSON `data` line each, comments as heartbeats, `event: end` at the end. Rejects when the
 * source fails at once; a later failure becomes an `error` event. `gone` stops the source: silently if the client disconnected, with an `error`
 * event if the reason is an AppError.
 */
export async function streamLines(source: (signal: AbortSignal) => AsyncIterable<Line>, gone: AbortSignal): Promise<Response> {
  const stop = new AbortController()
  const lines = source(AbortSignal.any([stop.signal, gone]))[Symbol.asyncIterator]()
  const first = lines.next()
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    first,
    new Promise((resolve) => {
      timer = setTimeout(resolve, refusalMs)
    }),
  ]).finally(() => clearTimeout(timer))
  return new Response(
    streamOf(lines, first, gone, () => stop.abort()),
    {
      headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' },
    },
  )
}

type Step = { chunk: Uint8Array; last: boolean }

function stepOf(result: IteratorResult<Line>): Step {
  return result.done ? { chunk: encoder.encode('event: end\ndata: {}\n\n'), last: true } : { chunk: eventOf(result.value), last: false }
}

/** The status is already sent, so a later failure becomes an event. */
function failedStep(error: unknown): Step {
  const requestId = newRequestId()
  reportUnexpected(error, requestId, 'log stream')
  return { chunk: encoder.encode(`event: error\ndata: ${JSON.stringify({ error: toHttpError(error, requestId).wire })}\n\n`), last: true }
}

function streamOf(lines: AsyncIterator<Line>, first: Promise<IteratorResult<Line>>, gone: AbortSignal, stop: () => void): ReadableStream<Uint8Array> {
  let next: Promise<IteratorResult<Line>> | null = first
  let heartbeat: NodeJS.Timeout | undefined
  let over = false
  const end = () => {
    over = true
    clearInterval(heartbeat)
    stop()
    // Do not await: the iterator may wait for a value that never comes; the signal ends it.
    void Promise.resolve(lines.return?.()).catch(() => {})
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(': connected\n\n'))
      heartbeat = setInterval(() => controller.enqueue(encoder.encode(': still here\n\n')), heartbeatMs)
      heartbeat.unref()
    },
    async pull(controller) {
      const step = await (next ?? lines.next()).then(
        // A source that was stopped ends like a complete one.
        (result) => (result.done && isAppError(gone.reason) ? failedStep(gone.reason) : stepOf(result)),
        (error: unknown) => (over ? null : failedStep(error)),
      )
      next = null
      // The stream was canceled meanwhile: the controller accepts no more data.
      if (over || !step) return
      controller.enqueue(step.chunk)
      if (!step.last) return
      end()
      controller.close()
    },
    cancel: end,
  })
}
