import type { RouterLog } from '../log'

const sayEveryMs = 60_000
/** Maximum distinct OpenSSL error codes that are counted. */
const maxCodes = 32

/** Handshakes that failed: scanners cause thousands, so one log line a minute counts them. */
export class HandshakeFaults {
  readonly #log: RouterLog
  readonly #byCode = new Map<string, number>()
  readonly #timer: NodeJS.Timeout

  constructor(log: RouterLog) {
    this.#log = log
    this.#timer = setInterval(() => this.#say(), sayEveryMs).unref()
  }

  count(error: Error): void {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
    const key = this.#byCode.has(code) || this.#byCode.size < maxCodes ? code : 'other'
    this.#byCode.set(key, (this.#byCode.get(key) ?? 0) + 1)
  }

  #say(): void {
    if (this.#byCode.size === 0) return
    this.#log.info({ failures: Object.fromEntries(this.#byCode) }, 'TLS handshakes failed in the last minute')
    this.#byCode.clear()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#say()
  }
}
