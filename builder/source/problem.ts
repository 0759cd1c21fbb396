import { AppError } from '@/shared/errors'

/** An error of the source step, with a message for users. */
export function sourceError(message: string, nextAction: string, cause?: unknown): AppError {
  return new AppError('ERR_SOURCE', message, { step: 'source', nextAction, ...(cause === undefined ? {} : { cause }) })
}

export const canceled = (cause?: unknown) => new AppError('ERR_CANCELED', 'Fetching the source was canceled', { step: 'source', cause })

/** Formats bytes: "512 MB". */
export function showBytes(bytes: number): string {
  if (bytes >= 1024 ** 3) return `${Number((bytes / 1024 ** 3).toFixed(1))} GB`
  if (bytes >= 1024 ** 2) return `${Math.round(bytes / 1024 ** 2)} MB`
  return `${Math.max(1, Math.round(bytes / 1024))} KB`
}

/** Makes an untrusted name safe for messages and logs: no control characters, bounded length. */
export function showName(name: string): string {
  let shown = ''
  for (const char of name.slice(0, 200)) {
    const code = char.codePointAt(0) ?? 0
    // C0, C1 and bidirectional marks: a name must not change how its line is shown.
    const unsafe = code < 32 || (code >= 127 && code < 160) || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
    shown += unsafe ? '�' : char
  }
  return name.length > 200 ? `${shown}…` : shown
}

export const tooLarge = (limit: number) =>
  sourceError(
    `The source is larger than the ${showBytes(limit)} allowed`,
    'Take large files out of the repository or the upload, or ask the operator to raise the limit.',
  )
export const tooManyFiles = (limit: number) =>
  sourceError(
    `The source has more than the ${limit.toLocaleString('en')} files allowed`,
    'Leave out generated folders such as node_modules, or ask the operator to raise the limit.',
  )
export const tooSlow = (limitMs: number) =>
  sourceError(
    `Fetching the source took longer than the ${Math.round(limitMs / 1000)} s allowed`,
    'Try again; when it happens again, check that the Git host is well and the repository is not unusually large.',
  )
