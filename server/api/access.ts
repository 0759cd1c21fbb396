import { AppError, isAppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { getPlatform } from '../platform'
import { type Action, authorize } from '../teams/policy'
import { authenticate } from './session'

/** Streams outlive their authorization check: end them when the access ends. */

/** Maximum delay of setTimeout, in ms. */
const maxTimerMs = 2 ** 31 - 1

export interface AccessWatch {
  /** Aborted with an AppError when the key or session has ended, or the role no longer allows the action; also by `close`. */
  signal: AbortSignal
  /** Stops watching. */
  close(): void
}

/** Checks repeatedly whether the credentials in these headers still allow `action`. */
export function watchAccess(headers: Headers, actor: Actor, action: Action): AccessWatch {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const check = async () => {
    try {
      const { expiresAt } = await requireSame(headers, actor, action)
      checkAt(expiresAt ?? null)
    } catch (error) {
      // An unavailable database does not end a stream.
      if (isAppError(error)) over.abort(error)
    }
  }
  const checkAt = (end: Date | null) => {
    clearTimeout(timer)
    if (end === null || over.signal.aborted) return
    timer = setTimeout(check, Math.min(maxTimerMs, Math.max(0, end.getTime() - Date.now())))
    timer.unref()
  }
  const watch = async () => {
    const changes = getPlatform().accessChanges(actor.id, over.signal)[Symbol.asyncIterator]()
    let next = changes.next()
    // Check for changes between authorization and subscription.
    for (await check(); !over.signal.aborted && !(await next).done; await check()) next = changes.next()
  }
  over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  void watch()
  return { signal: over.signal, close: () => over.abort() }
}

/** @throws AppError when these headers no longer authorize this action in the same team */
async function requireSame(headers: Headers, actor: Actor, action: Action): Promise<Actor> {
  const now = await authenticate(headers)
  if (!now || now.actor.teamId !== actor.teamId)
    throw new AppError('ERR_UNAUTHENTICATED', 'Your access has ended: you are signed out, or no longer in this team.', {
      nextAction: 'Sign in again.',
    })
  authorize(now.actor, action)
  return now.actor
}

/** Yields the values of `source` until the access ends. @throws the AppError that ended the access */
export async function* whileAllowed<T>(source: AsyncIterable<T>, access: AccessWatch): AsyncGenerator<T> {
  const items = source[Symbol.asyncIterator]()
  const over = new Promise<null>((resolve) => {
    access.signal.addEventListener('abort', () => resolve(null), { once: true })
    if (access.signal.aborted) resolve(null)
  })
  try {
    for (;;) {
      const item = await Promise.race([items.next(), over])
      // Aborted without an AppError: the reader has left.
      if (access.signal.aborted && isAppError(access.signal.reason)) throw access.signal.reason
      if (item === null || item.done) return
      yield item.value
    }
  } finally {
    access.close()
    // Do not await: the source may be waiting for a value that never comes.
    void Promise.resolve(items.return?.()).catch(() => {})
  }
}

/** Returns the response with a body that closes the watch at its end. */
export function closingWith(response: Response, access: AccessWatch): Response {
  if (!response.body) {
    access.close()
    return response
  }
  // `cancel`: the reader has gone. TypeScript's library does not know it yet (Streams Standard §7.2.1).
  const closing: Transformer<Uint8Array, Uint8Array> & { cancel(): void } = { flush: () => access.close(), cancel: () => access.close() }
  const body = response.body.pipeThrough(new TransformStream(closing))
  return new Response(body, response)
}
