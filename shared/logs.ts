/** A line of a build or of an app. `text` has no line end, is valid UTF-8, at most `maxLogLineBytes`, and has secrets masked. */
export interface LogRecord {
  step: string
  stream: 'stdout' | 'stderr' | 'system'
  text: string
  at: Date
}
export const maxLogLineBytes = 8 * 1024
/** Lines kept of one build; then one line says that the rest was dropped. A log flood ends here, not on the disk. */
export const maxBuildLogLines = 50_000
