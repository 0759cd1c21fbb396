import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import next from 'next'
import { type Logger, pino } from 'pino'
import { AppError, isAppError } from '@/shared/errors'
import { keepCompiledCode } from '@/shared/node/compile-cache'
import { answerPings } from '@/shared/node/pings'
import { setSecurityHeaders } from './api/security-headers'
import { createVisitorMarker } from './api/visitor'
import { type Composition, compose, roles as knownRoles, type Role } from './compose'
import { givenEnvironment, readServerEnv, type ServerEnv } from './env'
import { requireFreePorts } from './free-ports'
import { prepareHome } from './home'
import { publishPlatform } from './platform'
import { livePath } from './silent-process'
import { completeEnvironment } from './start-secrets'

/** Entry point of the control process: start, serve, stop. `compose.ts` defines the parts and their start order. */

/** Root directory of the repository, relative to both dist/control.mjs and server/main.ts. */
const root = fileURLToPath(new URL('..', import.meta.url))
/** sysexits.h EX_CONFIG: starting again would fail the same way. */
const exitConfig = 78

function parseRoles(args: string[]): Set<Role> {
  const given = args.find((a) => a.startsWith('--roles='))?.slice('--roles='.length)
  const roles = (given ? given.split(',') : ['web', 'worker']) as Role[]
  const unknown = roles.filter((role) => !knownRoles.includes(role))
  if (unknown.length > 0)
    throw new AppError('ERR_INVALID_INPUT', `There is no role ${unknown.join(', ')}.`, { nextAction: `Choose from ${knownRoles.join(', ')}.` })
  return new Set(roles)
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>

interface Served {
  close(): Promise<void>
}

/** Serves the dashboard and the API through Next. */
async function serveDashboard(env: ServerEnv, dev: boolean, logger: Logger): Promise<Served> {
  const app = next({ dev, dir: root, hostname: 'localhost', port: env.port, quiet: !dev })
  await app.prepare()
  const { server, close } = await listen(env, dev, app.getRequestHandler(), logger)
  server.on('upgrade', app.getUpgradeHandler())
  return {
    async close() {
      await close()
      await app.close().catch((error) => logger.warn({ err: error }, 'the dashboard did not close cleanly'))
    },
  }
}

/** Serves the API without Next: starts within a second. */
async function serveApi(env: ServerEnv, logger: Logger): Promise<Served> {
  // Dynamic import: in the `web` role Next bundles its own copies of these modules.
  const [{ getRequestListener }, { handleApi }] = await Promise.all([import('@hono/node-server'), import('./api/handler')])
  return listen(env, false, getRequestListener(handleApi), logger)
}

async function listen(env: ServerEnv, dev: boolean, handle: Handler, logger: Logger): Promise<Served & { server: Server }> {
  const markVisitor = createVisitorMarker(env)
  const server = createServer((request, response) => {
    markVisitor(request)
    setSecurityHeaders(request, response, dev)
    // CVE-2026-44578 and its kind: only origin-form targets reach the framework (RFC 9112 §3.2.1).
    if (!request.url?.startsWith('/')) {
      response.writeHead(400, { 'content-type': 'text/plain', connection: 'close' }).end('bad request target\n')
      return
    }
    if (request.url === livePath) {
      response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end('alive\n')
      return
    }
    handle(request, response).catch((error) => {
      logger.error({ err: error }, 'a request failed')
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(env.port, resolve)
  })
  return {
    server,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Prints the one-time setup code as plain text, not as a JSON log line: people read it on a terminal. */
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
  // The supervisor was killed: exit at once. Apps, routers and the database keep serving; the next control process takes over from the database.
  process.on('disconnect', () => {
    if (!stopping) abandon()
  })
}

async function main(): Promise<void> {
  const env = readServerEnv(await completeEnvironment(givenEnvironment()))
  const logger = pino({ level: env.logLevel, base: { process: 'control' } })
  const roles = parseRoles(process.argv.slice(2))
  const dev = process.argv.includes('--dev')
  answerPings()
  await prepareHome(env.home)
  if (env.publicUrl?.startsWith('https:') && env.trustedProxies.length === 0)
    logger.warn('PUBLIC_URL is https, so a proxy stands in front, but TRUSTED_PROXIES is not set: all visitors count as one address')
  // Before opening the database: the program that holds the port may be another Switchyard installation.
  if (roles.has('web') || roles.has('api')) await requireFreePorts({ PORT: env.port })
  let composition: Composition | undefined
  let served: Served | undefined
  stopOnSignals(
    async () => {
      await served?.close()
      await composition?.stop()
    },
    () => process.exit(1),
    logger,
  )
  composition = await compose(env, roles, logger)
  publishPlatform(composition.platform)
  if (roles.has('web')) served = await serveDashboard(env, dev, logger)
  else if (roles.has('api')) served = await serveApi(env, logger)
  composition.ready()
  greet(env, composition.firstAccountCode)
  logger.info({ ...(served ? { port: env.port } : {}), runtime: composition.platform.settings.runtime, roles: [...roles] }, 'ready')
  process.send?.({ type: 'ready' })
  keepCompiledCode()
}

main().catch((error) => {
  const config = (isAppError(error) && error.code === 'ERR_INVALID_INPUT') || (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
  const hint = isAppError(error) && error.details.nextAction ? `\n${error.details.nextAction}` : ''
  process.stderr.write(`switchyard: ${config || isAppError(error) ? (error as Error).message : error.stack}${hint}\n`)
  process.exit(config ? exitConfig : 1)
})
