import { isAppError } from '@/shared/errors'
import { newRequestId, reportUnexpected, toHttpError } from '../http-error'

/** Proxies and clients take a silent connection for a dead one; ours gives up after 45 s. */
const heartbeatMs = 15_000
/** A refusal (unknown id, no access) comes at once and must be an HTTP status, not an event. */
const refusalMs = 300

/** A value with an id after which a client can continue. */
type Line = { id: string }

const encoder = new TextEncoder()

/** `id` is where the client goes on with Last-Event-ID; JSON has no line breaks, so one data line is enough. */
const eventOf = (line: Line) => encoder.encode(`id: ${line.id}\ndata: ${JSON.stringify(line)}\n\n`)

/**
 * Log lines, or requests, as server-sent events: `id` and a JSON `data` line each, comments in between, `event: end` when the log is complete.
 * Rejects when the source refuses at once; a later failure is an `error` event. The source ends with `gone`: silently with the client,
 * by an `error` event when the reason is an AppError.
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

/** The status is sent already: a failure in the middle can only be an event. */
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
    // The iterator may be waiting for a line that never comes; the signal ends it, nobody waits here.
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
        // A source that was told to stop ends like one that is complete.
        (result) => (result.done && isAppError(gone.reason) ? failedStep(gone.reason) : stepOf(result)),
        (error: unknown) => (over ? null : failedStep(error)),
      )
      next = null
      // Canceled while we waited: the controller takes nothing any more.
      if (over || !step) return
      controller.enqueue(step.chunk)
      if (!step.last) return
      end()
      controller.close()
    },
    cancel: end,
  })
}
