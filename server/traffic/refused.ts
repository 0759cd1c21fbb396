/** Whether the database rejected the rows permanently, so that a retry is useless (class 22: data exception, 23: integrity, 54: limits). */
export function isRefusedForGood(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(22|23|54)/.test(code)
}
