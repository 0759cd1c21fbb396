// npm run dev: the platform from its sources, restarted when they change; the dashboard by Next's development server.
// npm run dev:dashboard, dev:api, dev:builder: one part each. Started in any order, they share one home and one database.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { childEnv, ensureDependencies, main, nodeBinary, root, run, Stop, startGroup, stopGroups, whenParentEnds, withLock } from './support/run.mjs'

// Not the home of an installation, and not in the tree, where Tailwind would scan it.
const home = process.env.SWITCHYARD_HOME || (process.getuid?.() === 0 ? '/var/lib/switchyard-dev' : path.join(homedir(), '.switchyard-dev'))
const port = Number(process.env.PORT || 3000)

/** What each command runs. The router goes with the worker, which publishes routes; the API has a port beside the dashboard's. */
const parts = {
  all: { roles: 'web,worker', router: true, port, serves: `dashboard and API on http://localhost:${port}` },
  dashboard: { roles: 'web', router: false, port, serves: `dashboard on http://localhost:${port}` },
  api: { roles: 'api', router: false, port: port + 1, serves: `API on http://localhost:${port + 1}/api/v1` },
  builder: { roles: 'worker', router: true, port, serves: `builds, apps and a router on http://localhost:${process.env.EDGE_HTTP_PORT || 8080}` },
}

/** Writing the client anew restarts every process that watches it: only for a schema it was not made from. */
async function generateClient() {
  const stamp = path.join(root, 'node_modules/.cache/switchyard/prisma-schema')
  const digest = createHash('sha256')
    .update(readFileSync(path.join(root, 'prisma/schema.prisma')))
    .digest('hex')
  const generated = path.join(root, 'server/database/generated/client.ts')
  if (existsSync(generated) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return
  const outcome = await run([nodeBinary(), path.join(root, 'node_modules/.bin/prisma'), 'generate'], { capture: true, deadlineMs: 60_000 })
  if (!outcome.ok) throw new Stop(`prisma generate failed:\n${outcome.output}`, 'Correct prisma/schema.prisma.')
  mkdirSync(path.dirname(stamp), { recursive: true })
  writeFileSync(stamp, digest)
}

await main(async () => {
  const name = process.argv[2] ?? 'all'
  const part = parts[name]
  if (!part) throw new Stop(`There is no part ${name}.`, `node scripts/dev.mjs [${Object.keys(parts).join('|')}]`)
  const stop = async () => {
    await stopGroups(30_000)
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop())
  whenParentEnds(() => void stop())
  // Commands started together in a fresh clone would install into the same folder at once.
  await withLock('dev-setup', async () => {
    await ensureDependencies()
    await generateClient()
  })
  const env = childEnv({ NODE_ENV: 'development', SWITCHYARD_HOME: home, EDGE_WORKERS: '1', PORT: String(part.port) })
  const watch = (script, args, extra = {}) => {
    const argv = [nodeBinary(), path.join(root, 'node_modules/tsx/dist/cli.mjs'), 'watch', '--clear-screen=false', script, ...args]
    startGroup(argv, { env: { ...env, ...extra } }).on('exit', (code) => console.error(`${script} ended (${code ?? 'signal'}).`))
  }
  console.log(`Development: ${part.serves}; home ${home}; Ctrl-C stops it.`)
  if (part.router) watch('router/main.ts', [], { ROUTER_WORKER_ID: '0' })
  watch('server/main.ts', ['--dev', `--roles=${part.roles}`])
  await new Promise(() => {})
})
