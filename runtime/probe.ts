import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'
import type { HealthCheck } from '@/shared/release'
import type { InstanceAddress, ObservedInstance, ProbeOptions, ProbeResult, Runtime } from './driver'
import { describeListeners } from './listeners'

const maxBodyBytes = 64 * 1024
const askStateDeadlineMs = 5_000

type Answer = { statusCode: number; latencyMs: number } | { failure: string }

const milliseconds = (ms: number) => `${Math.round(ms).toLocaleString('en-US')} ms`
const seconds = (ms: number) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`)

/** Sends one GET request from outside the instance. Never rejects. */
function ask(address: InstanceAddress, check: HealthCheck, signal?: AbortSignal): Promise<Answer> {
  const began = performance.now()
  return new Promise((resolve) => {
    const request = http.request({
      host: address.host,
      port: address.port,
      path: check.path,
      method: 'GET',
      agent: false,
      // Frameworks with a list of allowed hosts (Vite preview, Rails, Django) accept this name, but not the container's address.
      headers: { host: 'localhost', 'user-agent': 'switchyard-health-check', accept: '*/*', connection: 'close' },
      signal,
    })
    const settle = (answer: Answer) => {
      clearTimeout(timer)
      resolve(answer)
      request.destroy()
    }
    const timer = setTimeout(() => settle({ failure: `no answer within ${milliseconds(check.timeoutMs)}` }), check.timeoutMs)
    request.on('error', (error: NodeJS.ErrnoException) => settle({ failure: describeFailure(error) }))
    request.on('response', (response) => {
      const statusCode = response.statusCode ?? 0
      let size = 0
      const done = () => settle({ statusCode, latencyMs: performance.now() - began })
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        // An endless response (a stream) is a response: stop reading.
        if (size > maxBodyBytes) done()
      })
      response.on('end', done)
      response.on('error', (error: NodeJS.ErrnoException) => settle({ failure: describeFailure(error) }))
    })
    request.end()
  })
}

function describeFailure(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ECONNRESET':
      return 'the connection was closed before an answer came'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'the address cannot be reached'
    case 'ETIMEDOUT':
      return 'the connection was not accepted in time'
    default:
      return error.code?.startsWith('HPE_') ? 'the answer was not HTTP' : error.message
  }
}

const isErrorStatus = (statusCode: number, { strict }: HealthCheck): boolean =>
  statusCode >= 500 || (strict && (statusCode < 200 || statusCode >= 400))

/** Checks a response. null: healthy; otherwise the reason. */
function judge(answer: Answer, check: HealthCheck): string | null {
  if ('failure' in answer) return answer.failure
  const { statusCode, latencyMs } = answer
  if (isErrorStatus(statusCode, check)) return `answered ${statusCode}${check.strict ? '; 2xx or 3xx was expected' : ''}`
  if (latencyMs > check.latencyThresholdMs) return `took ${milliseconds(latencyMs)}, threshold ${milliseconds(check.latencyThresholdMs)}`
  return null
}

/** Advice for users, by the kind of failure. */
function hint(problem: string): string {
  if (problem === 'connection refused') return '. Does the app listen on the port in $PORT, on all interfaces or on $HOST?'
  if (problem.startsWith('no answer within')) return '. The app accepts connections but does not answer.'
  if (problem.includes('2xx or 3xx')) return '. Is the health check path right?'
  return '.'
}

/** Minimum number of error responses before giving up. */
const minErrors = 10

/** Counts consecutive error statuses: an app that returns only errors for a long time will not become healthy by waiting. */
function errorsInARow(check: HealthCheck) {
  let count = 0
  let sinceMs = 0
  let statuses = new Set<number>()
  return {
    add(answer: Answer, atMs: number): void {
      if ('failure' in answer || !isErrorStatus(answer.statusCode, check)) {
        count = 0
        return
      }
      if (count++ === 0) {
        sinceMs = atMs
        statuses = new Set()
      }
      statuses.add(answer.statusCode)
    },
    /** The reason to give up; null: continue. */
    reasonAt(atMs: number): string | null {
      if (count < minErrors || atMs - sinceMs < check.errorsPeriodMs) return null
      const expected = check.strict ? '; 2xx or 3xx was expected' : ''
      return `asked GET ${check.path}: answered ${[...statuses].join(' or ')} to all of the last ${count} for ${seconds(atMs - sinceMs)}${expected}. The app itself reports this error: its log may say why. If it only needs more time, raise "Error answers" or "Start time" in the project’s settings.`
    },
  }
}

type Exit = ObservedInstance['exit']

/** A sentence for users about the end of an instance. */
export function describeExit(exit: Exit, afterMs: number): string {
  const after = afterMs < 50 ? 'at once' : `after ${seconds(afterMs)}`
  const log = 'Its log says more.'
  if (exit?.outOfMemory) return `The app ran out of memory ${after} and was ended. Raise its memory limit, or let it use less. ${log}`
  if (exit?.signal && (exit.code === null || exit.code > 128)) return `The app was killed by ${exit.signal} ${after}. ${log}`
  if (exit?.code === 0)
    return `The app exited with code 0 ${after}: a server has to keep running. A start command that goes to the background (a daemon, "&") must stay in the foreground. ${log}`
  if (exit?.code === 127) return `The app exited with code 127 ${after}: its start command was not found. ${log}`
  if (exit && exit.code !== null) return `The app exited with code ${exit.code} ${after}. ${log}`
  return `The app ended ${after}. ${log}`
}

const firstPauseMs = 10
/** Wait this long before a notice about a wrong port: an app may open a debugger port first. */
const settleMs = 1_000
const listenersDeadlineMs = 5_000
const nowhere = 'listens on no port'
const stillStarting = ' If it is still starting, allow it more time: "Start time" in the project’s settings.'

/** Where the instance listens instead of `address`; null: at `address`, or unknown. */
function placeOf(address: InstanceAddress, { listeners }: ProbeOptions): Promise<string | null> {
  if (!listeners) return Promise.resolve(null)
  return withDeadline('the sockets of the instance', listenersDeadlineMs, listeners).then(
    (found) => describeListeners(found, { address: address.host, port: address.port }),
    () => null,
  )
}

/** Polls a fast server soon again, and a slow one every `intervalMs`. */
const pauseMs = (elapsedMs: number, check: HealthCheck): number => Math.min(check.intervalMs, Math.max(firstPauseMs, elapsedMs / 10))

/**
 * Polls until `successes` consecutive responses are healthy; the first must arrive within `startPeriodMs`. Ends early when the instance is gone
 * or returns only error statuses. Redirects count as responses and are not followed.
 * @throws AppError ERR_CANCELED on abort
 */
export const probe: Runtime['probe'] = async (address, check, options) => {
  const over = new AbortController()
  const gone = new AbortController()
  // If waiting for the end fails, `stillRunning` is polled instead.
  options.untilExit?.(over.signal).then(
    () => gone.abort(),
    () => {},
  )
  try {
    return await askUntilSettled(address, check, options, gone.signal)
  } finally {
    over.abort()
  }
}

async function askUntilSettled(address: InstanceAddress, check: HealthCheck, options: ProbeOptions, gone: AbortSignal): Promise<ProbeResult> {
  const signal = options.signal ? AbortSignal.any([options.signal, gone]) : gone
  const ended = new Promise<false>((resolve) => gone.addEventListener('abort', () => resolve(false), { once: true }))
  const errors = errorsInARow(check)
  const began = performance.now()
  const elapsed = () => performance.now() - began
  let attempts = 0
  let inARow = 0
  let last: Answer = { failure: 'was not asked' }
  let seenRunningMs = Number.NEGATIVE_INFINITY
  let told = ''
  const result = (reason: string | null): ProbeResult => ({
    healthy: reason === null,
    attempts,
    latencyMs: 'statusCode' in last ? Math.round(last.latencyMs * 10) / 10 : null,
    statusCode: 'statusCode' in last ? last.statusCode : null,
    reason,
  })
  for (;;) {
    assertNotAborted(options.signal)
    attempts++
    last = await ask(address, check, signal)
    assertNotAborted(options.signal)
    if (gone.aborted) return result(await reasonOfEnd(options, elapsed()))
    const problem = judge(last, check)
    errors.add(last, elapsed())
    inARow = problem === null ? inARow + 1 : 0
    if (inARow >= check.successes) return result(null)
    const over = elapsed() >= check.startPeriodMs
    // Ask the engine less often than the app: its answer costs more, and takes CPU time from the starting app.
    if (problem !== null && (over || elapsed() - seenRunningMs >= check.intervalMs)) {
      if (!(await Promise.race([isRunning(options.stillRunning), ended]))) return result(await reasonOfEnd(options, elapsed()))
      seenRunningMs = elapsed()
      const place = problem === 'connection refused' && (over || elapsed() >= settleMs) ? await placeOf(address, options) : null
      if (place !== null && place !== nowhere && place !== told) options.onNotice?.(`The app ${place}.`)
      if (place !== null) told = place
      if (over && place !== null)
        return result(`The app has been running for ${seconds(elapsed())} and ${place}.${place === nowhere ? stillStarting : ''}`)
    }
    const onlyErrors = errors.reasonAt(elapsed())
    if (onlyErrors !== null) return result(onlyErrors)
    if (problem !== null && over) {
      const times = attempts === 1 ? 'once' : `${attempts} times for ${seconds(elapsed())}`
      return result(`asked GET ${check.path} ${times}: ${problem}${hint(problem)}`)
    }
    await sleep(pauseMs(elapsed(), check), undefined, { signal }).catch(() => {})
  }
}

async function reasonOfEnd({ exit }: ProbeOptions, afterMs: number): Promise<string> {
  return describeExit((await exit?.().catch(() => null)) ?? null, afterMs)
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AppError('ERR_CANCELED', 'The health check was canceled')
}

/** If the engine is unavailable, assume that the app runs. */
function isRunning(stillRunning: () => Promise<boolean>): Promise<boolean> {
  return withDeadline('the state of the instance', askStateDeadlineMs, stillRunning).catch(() => true)
}
