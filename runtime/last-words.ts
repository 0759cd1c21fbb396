import { AppError } from '@/shared/errors'
import { FirstError, quoteOutput } from '@/shared/first-error'
import { createMask } from '@/shared/node/mask'
import type { InstanceLogLine, ObservedInstance } from './driver'
import { lineMask } from './log-text'
import { describeExit } from './probe'

const keptLines = 200
const quotedLines = 5

/** The newest lines of an app, and what an error may quote of them. */
export class LastWords {
  private readonly lines: string[] = []
  private readonly error = new FirstError()

  /** Takes a masked line. */
  add(line: string): void {
    this.error.look(line)
    this.lines.push(line)
    if (this.lines.length > keptLines) this.lines.shift()
  }

  /** The first error, then the last lines, without the frames of Node and of packages; below the reason in a message. */
  quote(): string[] {
    return quoteOutput(this.error.lines(), this.lines, quotedLines)
  }
}

/** For an app that ended before anybody could ask it anything: its instance is removed, so what it said last goes into the error. */
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
    // the reason for the end matters more than its words
  }
  const reason = describeExit(exit, 0).replace(/ Its log says more\.$/, '')
  return new AppError('ERR_START', [reason, ...words.quote()].join('\n'), {
    nextAction: 'Check the start command in the project’s settings, and the variables the app needs, then deploy again.',
  })
}
