/** The database read the rows and will never take them (class 22: data exception, 23: integrity, 54: limits): trying again is of no use. */
export function isRefusedForGood(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(22|23|54)/.test(code)
}
