import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'

export const keyBytes = 32
/** 32 random bytes practically never hold fewer distinct values than this: such a key is a typed placeholder. */
const minimumDifferentBytes = 12

/**
 * A secret of the installation in `$home/secrets`: 32 random bytes, base64, 0600.
 * @returns null when there is no such file.
 * @throws AppError for a file others can read, a wrong length, or an obvious placeholder.
 */
export async function readKeyFile(home: string, name: string): Promise<Buffer | null> {
  const file = path.join(home, 'secrets', name)
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new AppError('ERR_UNAVAILABLE', `${file} cannot be read: ${error.message}`, { cause: error })
  })
  if (!handle) return null
  try {
    // fstat the open file, not the path: the file cannot be replaced between check and read.
    const { mode } = await handle.stat()
    if (mode & 0o077)
      throw new AppError('ERR_FORBIDDEN', `${file} can be read by other users of this machine (mode ${(mode & 0o777).toString(8)})`, {
        nextAction: `Run: chmod 600 ${file} — and consider the secret known to whoever had access.`,
      })
    const key = Buffer.from((await handle.readFile('utf8')).trim(), 'base64')
    if (key.length !== keyBytes)
      throw new AppError('ERR_INVALID_INPUT', `${file} does not hold ${keyBytes} bytes in base64 (it holds ${key.length})`, {
        nextAction: 'Restore it from your backup.',
      })
    if (new Set(key).size < minimumDifferentBytes)
      throw new AppError('ERR_INVALID_INPUT', `${file} is not random`, { nextAction: 'Restore the generated one from your backup.' })
    return key
  } finally {
    await handle.close()
  }
}

/** Writes a new random key. */
export async function createKeyFile(home: string, name: string): Promise<Buffer> {
  const directory = path.join(home, 'secrets')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await chmod(directory, 0o700)
  const key = randomBytes(keyBytes)
  await writeFileAtomic(path.join(directory, name), `${key.toString('base64')}\n`)
  return key
}

/** Secret that signs sessions, generated at first boot. Losing it only signs all users out. */
export async function readAuthSecret(home: string): Promise<string> {
  const key = (await readKeyFile(home, 'auth.secret')) ?? (await createKeyFile(home, 'auth.secret'))
  return key.toString('base64')
}
