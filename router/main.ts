import { isAppError } from '@/shared/errors'
import { keepCompiledCode } from '@/shared/node/compile-cache'
import { answerPings } from '@/shared/node/pings'
import { type RouterEnv, readRouterEnv } from './env'
import { createRouterLog } from './log'
import { startWorker } from './worker'

/** Entry of one worker process. It outlives its parent: only SIGTERM, SIGINT or a crash end it. */
async function main(): Promise<void> {
  // http-proxy 1.18 calls util._extend; the warning would appear at every start and cannot be acted on.
  process.noDeprecation = true
  const env = readEnvOrExit()
  const { log, flush } = createRouterLog(env.logLevel, env.workerId)
  const crash = (error: unknown, what: string) => {
    log.fatal({ err: error }, what)
    flush()
    process.exit(1)
  }
  process.on('uncaughtException', (error) => crash(error, 'uncaught exception: this worker ends, the supervisor starts another'))
  process.on('unhandledRejection', (error) => crash(error, 'unhandled rejection: this worker ends, the supervisor starts another'))
  // A dead parent and its broken pipes must not affect requests.
  process.on('disconnect', () => log.warn('the supervisor is gone: serving on'))
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  process.on('SIGHUP', () => {})
  answerPings()
  let ending = false
  let worker: Awaited<ReturnType<typeof startWorker>> | undefined
  const end = async (signal: string) => {
    if (ending) return
    ending = true
    log.info({ signal }, 'draining')
    const result = await worker?.drain()
    log.info({ cut: result?.cut ?? 0 }, 'drained, goodbye')
    flush()
    process.exit(0)
  }
  process.on('SIGTERM', () => void end('SIGTERM'))
  process.on('SIGINT', () => void end('SIGINT'))
  try {
    worker = await startWorker(env, log)
  } catch (error) {
    return crash(error, isAppError(error) ? `${error.message} ${error.details.nextAction ?? ''}` : 'the router cannot start')
  }
  log.info(
    { ...worker.address, httpsPort: worker.secureAddress()?.port ?? null, version: worker.version(), sinceStartMs: Math.round(performance.now()) },
    'listening',
  )
  keepCompiledCode()
  // The callback takes the error of a channel that closed meanwhile, which would be thrown otherwise.
  const ready = { type: 'ready', workerId: env.workerId, port: worker.address.port, httpsPort: worker.secureAddress()?.port ?? null }
  if (process.connected) process.send?.(ready, undefined, undefined, () => {})
}

function readEnvOrExit(): RouterEnv {
  try {
    return readRouterEnv()
  } catch (error) {
    process.stderr.write(`${isAppError(error) ? `${error.message}\n${error.details.nextAction ?? ''}` : String(error)}\n`)
    process.exit(1)
  }
}

void main()
