// npm run dev: the platform from its sources, restarted when they change; the dashboard by Next's development server inside the control process.
// --roles=web|worker|dashboard,…: only those parts (dev:api, dev:builder, dev:dashboard).
import { homedir } from 'node:os'
import path from 'node:path'
import { childEnv, ensureDependencies, main, nodeBinary, root, run, Stop, startGroup, stopGroups, whenParentEnds } from './support/run.mjs'

const asked = process.argv.find((argument) => argument.startsWith('--roles='))
// The dashboard is served by the same role as the API it talks to.
const roles = asked?.replace('dashboard', 'web')
// Not the home of an installation, and not in the tree, where Tailwind would scan it.
const home = process.env.SWITCHYARD_HOME || (process.getuid?.() === 0 ? '/var/lib/switchyard-dev' : path.join(homedir(), '.switchyard-dev'))

await main(async () => {
  await ensureDependencies()
  const generated = await run([nodeBinary(), path.join(root, 'node_modules/.bin/prisma'), 'generate'], { capture: true, deadlineMs: 60_000 })
  if (!generated.ok) throw new Stop(`prisma generate failed:\n${generated.output}`, 'Correct prisma/schema.prisma.')
  const stop = async () => {
    await stopGroups(30_000)
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop())
  whenParentEnds(() => void stop())
  const env = childEnv({ NODE_ENV: 'development', SWITCHYARD_HOME: home, EDGE_WORKERS: '1' })
  const watch = (script, args, extra = {}) => {
    const argv = [nodeBinary(), path.join(root, 'node_modules/tsx/dist/cli.mjs'), 'watch', '--clear-screen=false', script, ...args]
    startGroup(argv, { env: { ...env, ...extra } }).on('exit', (code) => console.error(`${script} ended (${code ?? 'signal'}).`))
  }
  console.log(`Development: home ${home}, dashboard http://localhost:${env.PORT || 3000}, ${roles ?? 'every role'}; Ctrl-C stops all of it.`)
  if (!roles || roles.includes('router')) watch('router/main.ts', [], { ROUTER_WORKER_ID: '0' })
  watch('server/main.ts', ['--dev', ...(roles ? [roles] : [])])
  await new Promise(() => {})
})
