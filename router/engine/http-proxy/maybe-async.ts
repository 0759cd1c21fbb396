/**
 * Calls `use` at once with a value, later with a promised one. Errors of `ask` and `use` go to `broken`: a bug fails one request, not the
 * worker.
 */
export function withResult<T>(ask: () => T | Promise<T>, use: (value: T) => void, broken: (error: unknown) => void): void {
  try {
    const value = ask()
    if (value instanceof Promise) value.then(use).catch(broken)
    else use(value)
  } catch (error) {
    broken(error)
  }
}
