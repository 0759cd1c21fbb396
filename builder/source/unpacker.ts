import { isAppError } from '@/shared/errors'
import { unpackArchive } from './unpack'
import type { UnpackAnswer } from './unpack-process'

// Separate process for unpacking (see `unpack-process.ts`): reads the archive from standard input, writes the result to standard output.

const [options = '{}'] = process.argv.slice(2)
process.stdout.write(JSON.stringify(await answer()), () => process.exit(0))

async function answer(): Promise<UnpackAnswer> {
  try {
    return { tree: await unpackArchive(process.stdin, JSON.parse(options), new AbortController().signal) }
  } catch (error) {
    if (isAppError(error)) return { error: { code: error.code, message: error.message, details: { ...error.details } } }
    const { code = 'ERR_UNKNOWN', message = 'unknown', syscall } = error as NodeJS.ErrnoException
    return { error: { code, message, ...(syscall ? { syscall } : {}) } }
  }
}
