/** A value, or a promise of it. */
export type Soon<T> = T | Promise<T>

/** Calls `next` synchronously unless the value is a promise, to save a turn of the event loop. */
export function after<T, R>(value: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
