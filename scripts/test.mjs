// npm test: everything, from a bare clone. node scripts/test.mjs [check|unit|api|builder|cli|e2e|long …] [path …] [-u]
// The last line is always `N passed, N failed` (and `, N skipped` if any); exit code 0 only when all ran and all passed.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { ask, startEngine, stopEngine } from './dockerd.mjs'
import { lintChecks } from './lint.mjs'
import { buildAll, isBuilt } from './support/build.mjs'
import { roundsOf } from './support/lanes.mjs'
import { watchProcesses } from './support/leftovers.mjs'
import { addCounts, checkCounts, playwrightCounts, slowestFiles, vitestCounts } from './support/reports.mjs'
import { childEnv, ensureDependencies, nodeBinary, root, run, Stop, sleep, stopGroups, whenParentEnds } from './support/run.mjs'
import { ensureSystemPackages } from './system-packages.mjs'

const minute = 60_000
const id = randomBytes(3).toString('hex')
// Short: unix sockets below it may have 107 characters. Everything any test writes to the temporary directory goes with it.
const work = `/tmp/sy-${id}`
const marker = `SWITCHYARD_TEST_RUN=${id}`
const everyStep = ['lint', 'types', 'build', 'unit', 'integration', 'integration, one at a time', "integration on Debian's Postgres", 'e2e']
const inOrder = [...everyStep, 'long']
const integrationSteps = everyStep.filter((name) => name.startsWith('integration') && !name.includes('Debian'))
/** Many unit tests wait for deadlines of the router. */
const unitWorkers = ['--maxWorkers=3']

/** Suites by name: what they run, and what that needs. */
const suites = {
  check: { steps: ['lint', 'types', 'unit'] },
  unit: { steps: ['unit'] },
  api: { steps: ['unit', ...integrationSteps], folders: ['server', 'router', 'storage', 'shared'], engine: true },
  builder: { steps: ['unit', ...integrationSteps], folders: ['builder', 'runtime'], engine: true },
  cli: { steps: ['build', 'unit', ...integrationSteps], folders: ['cli'], engine: true },
  e2e: { steps: ['build', 'e2e'], engine: true },
  // Proofs that take minutes each; a run without a name leaves them out.
  long: { steps: ['build', 'long'], engine: true, deadlineMs: 4 * 60 * minute },
}

const results = []
let engine
let watch
let ending = false

function record(name, counts, startedAt) {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  results.push({ name, seconds, ...counts })
  console.log(
    `\n${counts.failed > 0 ? '✗' : '✓'} ${name}: ${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''} (${seconds} s)`,
  )
}

/** Runs one step; an exception in it fails this step and lets the others run. */
async function step(name, work_) {
  if (ending) return
  console.log(`\n━━━ ${name}`)
  const startedAt = performance.now()
  let counts
  try {
    counts = await work_()
  } catch (error) {
    console.error(error instanceof Stop ? error.message : error)
    counts = checkCounts(false, `${name}: ${error.message.split('\n')[0]}`)
  }
  await stopGroups(5000)
  if (ending) return
  const left = await endForgotten(isOfEngine)
  counts.failed += left.length
  counts.failures.push(...left)
  record(name, counts, startedAt)
}

/** Processes of an engine of ours and of its containers: they end with it. */
const isOfEngine = ({ pid, command }) => {
  if (!engine?.started) return false
  if (/^(\S*\/)?(dockerd|containerd|containerd-shim\S*|docker-proxy|runc)( |$)/.test(command)) return true
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes('/docker')
  } catch {
    return true
  }
}

/** Names and kills what is still alive although everything that started it has ended: the next step must not meet it. */
async function endForgotten(except = () => false) {
  const alive = () => watch.alive().filter((entry) => !except(entry))
  // Processes that were told to end may take a moment.
  for (let n = 0; n < 50 && alive().length > 0; n++) await sleep(100)
  return alive().map(({ pid, command }) => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // just ended
    }
    return `left behind: process ${pid}: ${command}`
  })
}

const testEnv = (extra = {}) =>
  childEnv({ CI: 'true', SWITCHYARD_TEST_RUN: id, TMPDIR: `${work}/t`, ...(engine ? { DOCKER_HOST: engine.host } : {}), ...extra })

async function vitest(project, { folders = [], files = [], options = [], env = {}, deadlineMs, name = project } = {}) {
  const report = `${work}/${name.replaceAll(/\W+/g, '-')}.json`
  const filters = [...folders.map((folder) => path.join(root, folder, '/')), ...files]
  const args = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...options, ...filters]
  if (wanted.update) args.push('--update')
  const outcome = await run([nodeBinary(), path.join(root, 'node_modules/vitest/vitest.mjs'), ...args], { env: testEnv(env), deadlineMs })
  return vitestCounts(report, outcome)
}

async function playwright() {
  const report = `${work}/playwright.json`
  const env = testEnv({ PLAYWRIGHT_JSON_OUTPUT_FILE: report, CHROMIUM: '/usr/bin/chromium' })
  const config = ['playwright.config.ts', 'e2e/playwright.config.ts'].find((file) => existsSync(path.join(root, file)))
  if (!config) throw new Stop('There is no playwright.config.ts.')
  const argv = [nodeBinary(), path.join(root, 'node_modules/@playwright/test/cli.js'), 'test', '--config', config, '--reporter=list,json']
  return playwrightCounts(report, await run(argv, { env, deadlineMs: 20 * minute }))
}

/** All test files of the integration project, as paths from the root. */
function integrationTests(directory = root) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(directory, entry.name)
    if (entry.isDirectory())
      return ['node_modules', 'examples', 'fixtures', 'generated', 'dist'].includes(entry.name) || entry.name.startsWith('.')
        ? []
        : integrationTests(full)
    return entry.name.endsWith('.int.test.ts') ? [path.relative(root, full)] : []
  })
}

/** Those that work with a database run on Debian's Postgres as well. */
const databaseTests = () => integrationTests().filter((file) => readFileSync(path.join(root, file), 'utf8').includes('support/database'))

/** One round of the integration tests that were asked for, its lanes at the same time; left out when it has none. */
async function integration(name, { folders, files }) {
  const isAsked = (file) =>
    files.length > 0 ? files.some((part) => path.join(root, file).includes(part)) : folders.length === 0 || folders.includes(file.split('/')[0])
  const lanes = roundsOf(integrationTests().filter(isAsked))[name]
  if (lanes.length === 0) return
  const run = (lane, number) =>
    vitest('integration', {
      files: lane.map((file) => path.join(root, file)),
      env: { SWITCHYARD_TEST_LANE: String(number) },
      deadlineMs: 40 * minute,
      name: `${name}-${number}`,
    })
  await step(name, async () => addCounts(await Promise.all(lanes.map(run))))
}

function debianPostgresBin() {
  const base = '/usr/lib/postgresql'
  const versions = readdirSync(base).filter((version) => existsSync(`${base}/${version}/bin/postgres`))
  return `${base}/${versions.sort((a, b) => Number(b) - Number(a))[0]}/bin`
}

const generate = () => run([nodeBinary(), path.join(root, 'node_modules/.bin/prisma'), 'generate'], { env: testEnv(), deadlineMs: 5 * minute })

const steps = {
  lint: async () => {
    for (const { name, argv } of lintChecks)
      await step(`lint: ${name}`, async () => checkCounts((await run(argv(), { env: testEnv(), deadlineMs: 5 * minute })).ok, name))
  },
  types: () =>
    step('types', async () => {
      const typegen = await run([nodeBinary(), path.join(root, 'node_modules/.bin/next'), 'typegen'], { env: testEnv(), deadlineMs: 5 * minute })
      const check = await run([nodeBinary(), path.join(root, 'node_modules/.bin/tsc'), '--noEmit'], { env: testEnv(), deadlineMs: 5 * minute })
      return checkCounts(typegen.ok && check.ok, 'types')
    }),
  build: ({ everything }) =>
    step('build', async () => {
      if (!everything && isBuilt()) console.log('dist/ and .next/ are the build of these sources.')
      else return checkCounts((await buildAll()).ok, 'npm run build')
      return checkCounts(true, 'build')
    }),
  unit: ({ folders, files }) => step('unit', () => vitest('unit', { folders, files, options: unitWorkers, deadlineMs: 15 * minute })),
  integration: (wanted) => integration('integration', wanted),
  'integration, one at a time': (wanted) => integration('integration, one at a time', wanted),
  "integration on Debian's Postgres": () =>
    step("integration on Debian's Postgres", () =>
      vitest('integration', {
        files: databaseTests().map((file) => path.join(root, file)),
        options: ['--fileParallelism', '--maxWorkers=2'],
        env: { TEST_POSTGRES_BIN: debianPostgresBin() },
        deadlineMs: 15 * minute,
        name: 'integration-debian',
      }),
    ),
  e2e: () => step('e2e', playwright),
  long: ({ files }) => step('long', () => vitest('long', { files, deadlineMs: 3.5 * 60 * minute })),
}

/**
 * The union of what the named suites need; without names everything. After a name, paths choose test files: `npm run test:unit -- shared/states`.
 * `-u` writes the snapshots of these files anew.
 */
function plan(given) {
  const update = given.includes('-u')
  const files = given.filter((argument) => argument.includes('/'))
  const names = given.filter((argument) => !argument.includes('/') && argument !== '-u')
  if (update && files.length === 0) throw new Stop('-u needs paths.', 'For example: npm run test:unit -- server/api -u')
  if (files.length > 0 && names.length === 0) throw new Stop('Paths need a suite.', `For example: npm run test:unit -- ${files[0]}`)
  const unknown = names.filter((name) => !(name in suites))
  if (unknown.length > 0)
    throw new Stop(`Unknown suite: ${unknown.join(', ')}`, `Choose from: ${Object.keys(suites).join(', ')}; without a name all of it runs.`)
  if (names.length === 0) return { steps: everyStep, folders: [], files: [], engine: true, everything: true, deadlineMs: 80 * minute }
  const chosen = names.map((name) => suites[name])
  return {
    steps: inOrder.filter((name) => chosen.some((suite) => suite.steps.includes(name))),
    folders:
      files.length > 0 || chosen.some((suite) => !suite.folders && suite.steps.includes('unit'))
        ? []
        : chosen.flatMap((suite) => suite.folders ?? []),
    files,
    update,
    engine: chosen.some((suite) => suite.engine),
    everything: false,
    deadlineMs: Math.max(80 * minute, ...chosen.map((suite) => suite.deadlineMs ?? 0)),
  }
}

async function prepare(wanted) {
  mkdirSync(`${work}/t`, { recursive: true })
  chmodSync(`${work}/t`, 0o1777)
  await ensureDependencies()
  if (wanted.engine) {
    await ensureSystemPackages()
    engine = await startEngine(`${work}/dk`)
    console.log(engine.started ? `A Docker engine of our own: ${engine.host}` : `The Docker engine that is there: ${engine.host}`)
  }
  if (!(await generate()).ok) throw new Stop('prisma generate failed.', 'Read its message above.')
}

/** Containers of the platform that the tests forgot, looked for in an engine of our own only: a shared one has other users. */
async function forgottenContainers() {
  if (!engine?.started) return []
  const answer = await ask(engine.socket, '/containers/json?all=1')
  return JSON.parse(answer?.body ?? '[]').map(({ Names, Image, State }) => `left behind: container ${Names?.[0]} (${Image}, ${State})`)
}

async function finish() {
  const startedAt = performance.now()
  await stopGroups(10_000)
  const left = await forgottenContainers()
  if (engine?.started) await stopEngine(`${work}/dk`)
  left.push(...(await endForgotten()))
  watch.close()
  rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  record('nothing left behind', { passed: left.length === 0 ? 1 : 0, failed: left.length, skipped: 0, failures: left }, startedAt)
}

function summary(startedAt) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  console.log('\n━━━ summary')
  for (const result of results) {
    for (const key of Object.keys(total)) total[key] += result[key]
    console.log(
      `${result.failed + result.skipped > 0 ? '✗' : '✓'} ${result.name.padEnd(52)} ${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(4)} failed${result.skipped > 0 ? ` ${result.skipped} skipped` : ''}  ${result.seconds.padStart(7)} s`,
    )
    for (const failure of result.failures.slice(0, 30)) console.log(`    ${failure}`)
    if (result.failures.length > 30) console.log(`    … and ${result.failures.length - 30} more`)
  }
  const slowest = slowestFiles(results, 10)
  if (slowest.length > 0) console.log('slowest files')
  for (const { name, step: in_, seconds } of slowest) console.log(`  ${seconds.toFixed(1).padStart(7)} s  ${name} (${in_})`)
  console.log(`${((performance.now() - startedAt) / minute).toFixed(1)} minutes`)
  console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`)
  return total.failed === 0 && total.skipped === 0 && total.passed > 0 ? 0 : 1
}

async function end(startedAt, reason) {
  if (ending) return
  ending = true
  if (reason) results.push({ name: reason, seconds: '0.0', passed: 0, failed: 1, skipped: 0, failures: [] })
  await finish()
  process.exit(summary(startedAt))
}

const startedAt = performance.now()
let wanted
try {
  wanted = plan(process.argv.slice(2))
} catch (error) {
  console.error(error.message)
  process.exit(2)
}
// Inherited by everything we start, the engine included.
process.env.SWITCHYARD_TEST_RUN = id
watch = watchProcesses(marker)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(startedAt, `stopped by ${signal}`))
whenParentEnds(() => void end(startedAt, 'stopped because npm ended'))
setTimeout(() => void end(startedAt, `not done after ${wanted.deadlineMs / minute} minutes`), wanted.deadlineMs).unref()

let ready = true
try {
  await prepare(wanted)
} catch (error) {
  ready = false
  console.error(error instanceof Stop ? `\n✗ ${error.message}` : error)
  results.push({ name: 'preparation', seconds: '0.0', passed: 0, failed: 1, skipped: 0, failures: [error.message.split('\n')[0]] })
}
if (ready) for (const name of wanted.steps) await steps[name](wanted)
await end(startedAt)
