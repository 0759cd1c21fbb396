/**
 * Goes on with a value now when it is there, later when it is promised. What `ask` or `use` throw goes to `broken`: a bug costs one
 * request, not the worker.
 */
export function settle<T>(ask: () => T | Promise<T>, use: (value: T) => void, broken: (error: unknown) => void): void {
  try {
    const value = ask()
    if (value instanceof Promise) value.then(use).catch(broken)
    else use(value)
  } catch (error) {
    broken(error)
  }
}
