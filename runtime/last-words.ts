import { AppError } from '@/shared/errors'
import { createMask } from '@/shared/node/mask'
import type { InstanceLogLine, ObservedInstance } from './driver'
import { lineMask } from './log-text'
import { describeExit } from './probe'

const quotedLines = 5

/** For an app that ended before anybody could ask it anything: its instance is removed, so what it said last goes into the error. */
export async function endedAtOnce(
  exit: ObservedInstance['exit'],
  lines: AsyncIterable<InstanceLogLine>,
  secrets: Readonly<Record<string, string>>,
): Promise<AppError> {
  const last: string[] = []
  const mask = lineMask(createMask(secrets))
  try {
    for await (const line of lines) {
      last.push(mask(line))
      if (last.length > quotedLines) last.shift()
    }
  } catch {
    // the reason for the end matters more than its words
  }
  const words = last.length > 0 ? ` Its last words:\n${last.join('\n')}` : ''
  return new AppError('ERR_START', `${describeExit(exit, 0).replace(/ Its log says more\.$/, '')}${words}`, {
    nextAction: 'Check the start command in the project’s settings, and the variables the app needs, then deploy again.',
  })
}
