import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import next from 'next'
import { type Logger, pino } from 'pino'
import { isAppError } from '@/shared/errors'
import { markClientAddress } from './api/client-address'
import { type Composition, compose, type Role } from './compose'
import { readServerEnv, type ServerEnv } from './env'
import { prepareHome } from './home'
import { publishPlatform } from './platform'

/** The control process: start, serve, stop. What is started, in which order, is in `compose.ts`. */

/** The repository, seen from dist/control.mjs as from server/main.ts. */
const root = fileURLToPath(new URL('..', import.meta.url))
/** sysexits.h EX_CONFIG: starting again would fail the same way. */
const exitConfig = 78

function parseRoles(args: string[]): Set<Role> {
  const given = args.find((a) => a.startsWith('--roles='))?.slice('--roles='.length)
  return new Set((given ? given.split(',') : ['web', 'worker']) as Role[])
}

async function serveDashboard(env: ServerEnv, dev: boolean, logger: Logger): Promise<{ server: Server; close(): Promise<void> }> {
  const app = next({ dev, dir: root, hostname: 'localhost', port: env.port, quiet: !dev })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer((request, response) => {
    // CVE-2026-44578 and its kind: only origin-form targets reach the framework (RFC 9112 §3.2.1).
    if (!request.url?.startsWith('/')) {
      response.writeHead(400, { 'content-type': 'text/plain', connection: 'close' }).end('bad request target\n')
      return
    }
    markClientAddress(request)
    handle(request, response).catch((error) => {
      logger.error({ err: error }, 'a request failed')
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  server.on('upgrade', app.getUpgradeHandler())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(env.port, resolve)
  })
  return {
    server,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await app.close().catch((error) => logger.warn({ err: error }, 'the dashboard did not close cleanly'))
    },
  }
}

/** People read this on a terminal, so it is not a JSON line. */
function greet(env: ServerEnv, code: string | null): void {
  if (!code) return
  const url = env.publicUrl ?? `http://localhost:${env.port}`
  process.stdout.write(`\n  Create the first account at ${url}/setup\n  One-time code: ${code}\n\n`)
}

function stopOnSignals(stop: () => Promise<void>, abandon: () => void, logger: Logger): void {
  let stopping = false
  const begin = () => {
    if (stopping) return
    stopping = true
    stop().then(
      () => process.exit(0),
      (error) => {
        logger.error({ err: error }, 'stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', begin)
  process.on('SIGINT', begin)
  // The supervisor was killed. Apps, routers and database keep serving; its successor takes over from the record.
  process.on('disconnect', () => {
    if (!stopping) abandon()
  })
}

async function main(): Promise<void> {
  const env = readServerEnv()
  const logger = pino({ level: env.logLevel, base: { process: 'control' } })
  const roles = parseRoles(process.argv.slice(2))
  const dev = process.argv.includes('--dev')
  await prepareHome(env.home)
  let composition: Composition | undefined
  let dashboard: Awaited<ReturnType<typeof serveDashboard>> | undefined
  stopOnSignals(
    async () => {
      await dashboard?.close()
      await composition?.stop()
    },
    () => process.exit(1),
    logger,
  )
  composition = await compose(env, roles, logger)
  publishPlatform(composition.platform)
  if (roles.has('web')) dashboard = await serveDashboard(env, dev, logger)
  composition.ready()
  greet(env, composition.firstAccountCode)
  logger.info({ port: env.port, runtime: composition.platform.settings.runtime, roles: [...roles] }, 'ready')
  process.send?.({ type: 'ready' })
}

main().catch((error) => {
  const config = (isAppError(error) && error.code === 'ERR_INVALID_INPUT') || (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
  const hint = isAppError(error) && error.details.nextAction ? `\n${error.details.nextAction}` : ''
  process.stderr.write(`switchyard: ${config || isAppError(error) ? (error as Error).message : error.stack}${hint}\n`)
  process.exit(config ? exitConfig : 1)
})
