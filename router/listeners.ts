import { AppError } from '@/shared/errors'
import type { Engine } from './engine/engine'
import type { RouterEnv } from './env'
import type { RouterLog } from './log'
import type { TlsTerminator } from './tls/tls-terminator'

export interface Bound {
  host: string
  port: number
}

const secureRetryMs = 15_000

/** Opens the HTTP port. @throws AppError with the next action */
export async function openPlainListener(engine: Engine, env: RouterEnv, log: RouterLog): Promise<Bound> {
  try {
    return await listen(engine, env, log, env.httpPort, null)
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    throw new AppError('ERR_UNAVAILABLE', `the router cannot listen on port ${env.httpPort}: ${detail}`, {
      nextAction: nextAction(error, env.httpPort, 'EDGE_HTTP_PORT'),
      cause: error,
    })
  }
}

/** The HTTPS listener. If its port cannot be opened, the failure is logged and retried; HTTP is served meanwhile. */
export class TlsListener {
  /** null: not open (yet). */
  bound: Bound | null = null
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(
    private readonly engine: Engine,
    private readonly env: RouterEnv,
    private readonly tls: TlsTerminator,
    private readonly log: RouterLog,
    private readonly onOpened: () => void,
  ) {}

  /** Resolves after the first attempt; never throws. */
  async open(): Promise<void> {
    const port = this.env.httpsPort
    if (port === null || this.#stopped) return
    const again = this.#timer !== undefined
    try {
      this.bound = await listen(this.engine, this.env, this.log, port, this.tls)
      if (!again) return
      this.log.info({ ...this.bound }, 'HTTPS is served now')
      this.onOpened()
    } catch (error) {
      if (!again) {
        const advice = nextAction(error, port, 'EDGE_HTTPS_PORT')
        this.log.error({ err: error, port }, `HTTPS is not served: the router cannot listen on port ${port}. ${advice} HTTP is served meanwhile.`)
      }
      this.#timer = setTimeout(() => void this.open(), secureRetryMs).unref()
    }
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}

async function listen(engine: Engine, env: RouterEnv, log: RouterLog, port: number, tls: TlsTerminator | null): Promise<Bound> {
  const address = { port, reusePort: true, tls, proxyProtocol: env.proxyProtocol }
  try {
    return await engine.listen({ ...address, host: env.host })
  } catch (error) {
    const code = codeOf(error)
    if (env.host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
    log.info({}, 'no IPv6 on this machine: listening on IPv4 alone')
    return engine.listen({ ...address, host: '0.0.0.0' })
  }
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : '')

function nextAction(error: unknown, port: number, setting: string): string {
  return codeOf(error) === 'EADDRINUSE'
    ? `Stop the program that listens on port ${port}, or set ${setting} to a free one.`
    : `Set ${setting} to a port this user may open.`
}
