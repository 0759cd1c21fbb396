import { AppError } from '../errors'

/**
 * Settles as `work` does, or rejects with ERR_DEADLINE after `ms`. The signal for `work` is aborted at the deadline and when `outer` is aborted;
 * work that ignores the signal is no longer awaited.
 */
export async function withDeadline<T>(what: string, ms: number, work: (signal: AbortSignal) => Promise<T>, outer?: AbortSignal): Promise<T> {
  const controller = new AbortController()
  const onOuter = () => controller.abort(outer?.reason)
  outer?.addEventListener('abort', onOuter, { once: true })
  if (outer?.aborted) onOuter()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new AppError('ERR_DEADLINE', `${what} did not answer within ${ms} ms`))
      controller.abort()
    }, ms)
  })
  try {
    return await Promise.race([work(controller.signal), late])
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onOuter)
  }
}
