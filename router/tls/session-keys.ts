import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import type { RouterLog } from '../log'

/** Format of `tls.Server.setTicketKeys`: 16 bytes of name, 16 of HMAC key, 16 of AES key. */
const keyBytes = 48
export const rotateAfterMs = 12 * 60 * 60 * 1000
const lookEveryMs = 10_000
/** An older lock was left by a worker that died. */
const staleLockMs = 60_000

export interface SessionKeysOptions {
  /** Path of the key file, shared by all workers of the machine: every worker accepts tickets issued by another. */
  file: string
  log: RouterLog
  now?: () => number
}

/**
 * The key of session tickets (RFC 5077; RFC 8446 §4.6.1), shared by all workers through a file and replaced every 12 hours by the worker
 * that takes the lock first. Node supports a single ticket key, so tickets of the previous key require a full handshake after a rotation.
 * No key is used for longer than its file exists, which limits the loss of forward secrecy to half a day.
 */
export class SessionKeys {
  readonly #options: SessionKeysOptions
  readonly #listeners = new Set<(key: Buffer) => void>()
  readonly #timer: NodeJS.Timeout
  #key: Buffer
  /** Identity of the file from which the key was read. A rotation creates a new file, but the inode number may repeat. */
  #fileRead = ''
  #complained = false

  constructor(options: SessionKeysOptions) {
    this.#options = options
    // Until the file can be read, use a random key: only this worker accepts its tickets.
    this.#key = randomBytes(keyBytes)
    this.look()
    this.#timer = setInterval(() => this.look(), lookEveryMs).unref()
  }

  get current(): Buffer {
    return this.#key
  }

  /** Registers a listener for new keys. */
  onChange(listener: (key: Buffer) => void): void {
    this.#listeners.add(listener)
  }

  /** Replaces the key early, for example because it may have leaked. */
  rotateNow(): void {
    rmSync(this.#options.file, { force: true })
    this.look()
  }

  /** Rotates the key if it is due, and loads a key that another worker wrote. */
  look(): void {
    const { file, log } = this.#options
    try {
      const age = this.#ageMs()
      // A file date in the future means that the clock was set back, so the age is unknown.
      if (age === null || age > rotateAfterMs || age < -lookEveryMs) this.#rotate()
      this.#read()
      this.#complained = false
    } catch (error) {
      if (!this.#complained) log.warn({ err: error, file }, 'session tickets are not shared among workers: the key file cannot be used')
      this.#complained = true
    }
  }

  #ageMs(): number | null {
    const found = statSync(this.#options.file, { throwIfNoEntry: false })
    return found?.size === keyBytes ? this.#now() - found.mtimeMs : null
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #rotate() {
    const { file } = this.#options
    const lock = `${file}.lock`
    const held = statSync(lock, { throwIfNoEntry: false })
    if (held && this.#now() - held.mtimeMs > staleLockMs) rmSync(lock, { force: true })
    let descriptor: number
    try {
      descriptor = openSync(lock, 'wx', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return // another worker is at it
      throw error
    }
    try {
      // The previous holder of the lock may have rotated the key. The lock itself becomes the file.
      const age = this.#ageMs()
      if (age !== null && age <= rotateAfterMs && age >= -lookEveryMs) return rmSync(lock, { force: true })
      writeSync(descriptor, randomBytes(keyBytes))
      fsyncSync(descriptor)
      renameSync(lock, file)
    } catch (error) {
      rmSync(lock, { force: true })
      throw error
    } finally {
      closeSync(descriptor)
    }
  }

  #read(): void {
    const { file } = this.#options
    const found = statSync(file, { throwIfNoEntry: false })
    const identity = found && `${found.ino} ${found.mtimeMs}`
    if (!found || identity === this.#fileRead) return
    if ((found.mode & 0o077) !== 0) throw new Error('others may read the key of session tickets')
    const key = readFileSync(file)
    if (key.length !== keyBytes) throw new Error(`the key of session tickets has ${key.length} bytes`)
    this.#fileRead = identity ?? ''
    if (key.equals(this.#key)) return
    this.#key = key
    for (const listener of this.#listeners) listener(key)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#listeners.clear()
  }
}
