import { AppError } from '@/shared/errors'
import { FirstError, quoteOutput } from '@/shared/first-error'
import { createMask } from '@/shared/node/mask'
import type { InstanceLogLine, ObservedInstance } from './driver'
import { lineMask } from './log-text'
import { describeExit } from './probe'

const keptLines = 200
const quotedLines = 5

/** The last lines of an app, for quoting in errors. */
export class LastWords {
  private readonly lines: string[] = []
  private readonly error = new FirstError()

  /** Adds a masked line. */
  add(line: string): void {
    this.error.look(line)
    this.lines.push(line)
    if (this.lines.length > keptLines) this.lines.shift()
  }

  /** The first error, then the last lines, without stack frames of Node and of packages, for an error message. */
  quote(): string[] {
    return quoteOutput(this.error.lines(), this.lines, quotedLines)
  }
}

/** For an app that exits before the first probe: quotes its last lines in the error, because its instance is removed. */
export async function endedAtOnce(
  exit: ObservedInstance['exit'],
  lines: AsyncIterable<InstanceLogLine>,
  secrets: Readonly<Record<string, string>>,
): Promise<AppError> {
  const words = new LastWords()
  const mask = lineMask(createMask(secrets))
  try {
    for await (const line of lines) words.add(mask(line))
  } catch {
    // Reading the lines must not hide the reason of the end.
  }
  const reason = describeExit(exit, 0).replace(/ Its log says more\.$/, '')
  return new AppError('ERR_START', [reason, ...words.quote()].join('\n'), {
    nextAction: 'Check the start command in the project’s settings, and the variables the app needs, then deploy again.',
  })
}
