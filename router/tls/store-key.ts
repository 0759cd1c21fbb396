import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, fstatSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import type { RouterLog } from '../log'

const keyBytes = 32

/**
 * The key that encrypts certificates on disk, created by the first worker and shared by all. If it cannot be stored, a temporary key is
 * returned: the worker runs, but the next process cannot read the stored certificates.
 */
export function storeKey(file: string, log: RouterLog): Buffer {
  try {
    const found = readKey(file, log)
    if (found) return found
    return makeKey(file) ?? readKey(file, log) ?? replaceKey(file, log)
  } catch (error) {
    log.error({ err: error, file }, 'the key of the certificate store cannot be kept: certificates will be asked for again after a restart')
    return randomBytes(keyBytes)
  }
}

/** null: missing or invalid. */
function readKey(file: string, log: RouterLog): Buffer | null {
  let text: string
  try {
    const descriptor = openSync(file, 'r')
    try {
      if ((fstatSync(descriptor).mode & 0o077) !== 0) {
        log.error({ file }, 'others could read the key of the certificate store: its mode was set back to 0600')
        chmodSync(file, 0o600)
      }
      text = readFileSync(descriptor, 'latin1')
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  return /^[0-9a-f]{64}\n$/.test(text) ? Buffer.from(text.trim(), 'hex') : null
}

/** null: another worker has just created the file. */
function makeKey(file: string): Buffer | null {
  const key = randomBytes(keyBytes)
  const temp = writeTemp(file, key)
  try {
    linkSync(temp, file)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null
    throw error
  } finally {
    unlinkSync(temp)
  }
}

// Workers that replace the key concurrently may use different keys: a certificate that cannot be decrypted is requested again.
function replaceKey(file: string, log: RouterLog): Buffer {
  log.error({ file }, 'the key of the certificate store was damaged: a new one is made, and certificates are asked for again')
  const key = randomBytes(keyBytes)
  renameSync(writeTemp(file, key), file)
  return key
}

function writeTemp(file: string, key: Buffer): string {
  const temp = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const descriptor = openSync(temp, 'wx', 0o600)
  try {
    writeSync(descriptor, `${key.toString('hex')}\n`)
    fsyncSync(descriptor)
  } catch (error) {
    unlinkSync(temp)
    throw error
  } finally {
    closeSync(descriptor)
  }
  return temp
}
