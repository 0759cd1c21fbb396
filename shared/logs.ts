/** A line of a build or of an app. `text` has no line end, is valid UTF-8, at most `maxLogLineBytes`, and has secrets masked. */
export interface LogRecord {
  step: string
  stream: 'stdout' | 'stderr' | 'system'
  text: string
  at: Date
}
export const maxLogLineBytes = 8 * 1024
/** Maximum lines of a build log; the last line then says that the rest was dropped. Protects the disk from floods. */
export const maxBuildLogLines = 50_000
