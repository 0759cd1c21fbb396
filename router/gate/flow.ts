/** A value now, or later. */
export type Soon<T> = T | Promise<T>

/** Goes on at once where it can: a promise costs a turn of the event loop only when there is one. */
export function after<T, R>(value: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
