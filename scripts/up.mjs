// npm run up: from a fresh clone to a running platform with the example app on it. Stays in the foreground; Ctrl-C stops it.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statfsSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import path from 'node:path'
import { buildAll, isBuilt } from './support/build.mjs'
import { childEnv, ensureDependencies, isOwnAnswer, main, nodeBinary, root, run, Stop, sleep, startGroup, whenParentEnds } from './support/run.mjs'

const set = (name, preset) => process.env[name] || preset
const home = path.resolve(set('SWITCHYARD_HOME', process.getuid?.() === 0 ? '/var/lib/switchyard' : path.join(homedir(), '.switchyard')))
const ports = {
  PORT: Number(set('PORT', 3000)),
  EDGE_HTTP_PORT: Number(set('EDGE_HTTP_PORT', 8080)),
  EDGE_HTTPS_PORT: Number(set('EDGE_HTTPS_PORT', 8443)),
}
const dashboard = `http://localhost:${ports.PORT}`
const api = `http://127.0.0.1:${ports.PORT}`
const logFile = path.join(home, 'log', 'platform.log')
const neededDiskBytes = 3 * 1024 ** 3
const readyDeadlineMs = 120_000

let platform
let stopping = false

/** GET; undefined when nobody answers. */
function get(url) {
  return new Promise((resolve) => {
    const req = request(url, { timeout: 10_000, agent: false }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('end', () => resolve({ status: res.statusCode, body: Buffer.concat(chunks).toString() }))
      res.on('error', () => resolve(undefined))
    })
    req.on('timeout', () => req.destroy())
    req.on('error', () => resolve(undefined))
    req.end()
  })
}

/** Ready, and ours: another installation may answer on the same port. */
const isReady = async () => isOwnAnswer(await get(`${api}/api/health`), home)

/** The supervisor that runs on this home, by its pid file; the start time tells it from a later process of the same number. */
function runningSupervisor() {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(path.join(home, 'run/supervisor.pid'), 'utf8'))
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] !== 'Z' && fields[19] === startTime ? pid : undefined
  } catch {
    return undefined
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(error.code !== 'EADDRINUSE'))
    server.listen(port, () => server.close(() => resolve(true)))
  })
}

/** What would make the start fail later, said now and all at once. */
async function checkMachine() {
  const taken = []
  for (const [name, port] of Object.entries(ports)) {
    if (port === 0 || (await isFree(port))) continue
    // Nobody asked for this very port: apps are served over HTTP alone then, and over HTTPS once it is free.
    if (name === 'EDGE_HTTPS_PORT' && !process.env[name])
      console.log(`Port ${port} is in use: no HTTPS. EDGE_HTTPS_PORT=${port + 1000} chooses another.`)
    else taken.push({ name, port })
  }
  if (taken.length > 0)
    throw new Stop(
      `Already in use: ${taken.map(({ port }) => `port ${port}`).join(', ')}.`,
      `Stop what listens there (ss -ltnp shows it), or choose other ports: ${taken.map(({ name, port }) => `${name}=${port + 1000}`).join(' ')} npm run up`,
    )
  try {
    mkdirSync(path.dirname(logFile), { recursive: true })
  } catch (error) {
    throw new Stop(`${home} cannot be written: ${error.message}`, 'Choose another directory: SWITCHYARD_HOME=~/switchyard npm run up')
  }
  const disk = statfsSync(home)
  const free = disk.bavail * disk.bsize
  if (free < neededDiskBytes)
    throw new Stop(
      `Only ${(free / 1024 ** 3).toFixed(1)} GB of disk are free at ${home}; builds need ${neededDiskBytes / 1024 ** 3} GB.`,
      'Free some space, or set SWITCHYARD_HOME to a larger disk.',
    )
}

function startPlatform() {
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.1`)
  // A file, not a pipe: the platform goes on when this terminal is gone.
  const log = openSync(logFile, 'a')
  platform = startGroup([nodeBinary(), path.join(root, 'dist/switchyard.mjs')], {
    env: childEnv({ NODE_ENV: 'production', SWITCHYARD_HOME: home }),
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  platform.ended = new Promise((resolve) => platform.once('exit', (code, signal) => resolve(code ?? signal)))
  followLog()
}

const lines = []
/** Shows what is meant for people: plain lines, and errors of the structured log. */
function followLog() {
  const file = openSync(logFile, 'r')
  const buffer = Buffer.alloc(64 * 1024)
  let rest = ''
  const timer = setInterval(() => {
    for (let size = readSync(file, buffer); size > 0; size = readSync(file, buffer)) {
      const parts = (rest + buffer.toString('utf8', 0, size)).split('\n')
      rest = parts.pop()
      for (const line of parts) showLine(line)
    }
  }, 200)
  timer.unref()
}
function showLine(line) {
  let text = line
  if (line.startsWith('{'))
    try {
      const { level, msg, err } = JSON.parse(line)
      text = level >= 50 ? `✗ ${msg ?? ''}${err?.message && err.message !== msg ? `: ${err.message}` : ''}` : undefined
    } catch {
      // not a log record after all
    }
  lines.push(text ?? line)
  if (lines.length > 400) lines.shift()
  if (text?.trim()) console.log(`  ${text}`)
}

async function waitUntilReady() {
  const deadline = Date.now() + readyDeadlineMs
  let ended
  platform.ended.then((code) => {
    ended = { code }
  })
  while (!(await isReady())) {
    await sleep(200)
    if (stopping) return
    if (ended) throw new Stop(`The platform ended (${ended.code}) before it was ready.`, `The reason is in ${logFile}.`)
    if (Date.now() > deadline)
      throw new Stop(`The platform was not ready after ${readyDeadlineMs / 1000} s.`, `Look at ${logFile} and at ${dashboard}/api/health`)
  }
}

/** @returns {Promise<string>} URL of the running example. */
async function deployExample() {
  const key = path.join(home, 'secrets/operator.key')
  if (!existsSync(key)) throw new Stop(`${key} is missing.`, 'Is SWITCHYARD_HOME the directory of the platform that is running?')
  const args = ['deploy', 'examples/nextjs', '--project', 'example', '--api', api, '--token-file', key, '--json']
  const outcome = await run([path.join(root, 'bin/switchyard'), ...args], { capture: true, deadlineMs: 15 * 60_000 })
  const answer = lastJson(outcome.output)
  if (!outcome.ok)
    throw new Stop(
      `The example could not be deployed${answer ? '' : `:\n${outcome.output.slice(-1500).trim()}`}${describe(answer)}`,
      nextActionFor(outcome.output, answer),
    )
  // Live is what every router has acknowledged. A visit of ours would count among those of its visitors.
  const health = await get(`${api}/api/health`)
  if (lastJson(health?.body ?? '')?.checks?.routers !== true)
    throw new Stop(`The example is deployed, but not every router serves it.`, `Look at ${logFile} and at ${dashboard}/api/health`)
  const seconds = answer.timings?.total ? ` in ${(answer.timings.total / 1000).toFixed(1)} s` : ''
  console.log(`Deployed the example (${answer.framework ?? 'app'})${seconds}; it is live.`)
  return answer.url
}
function lastJson(output) {
  for (const line of output.trim().split('\n').reverse())
    try {
      if (line.startsWith('{')) return JSON.parse(line)
    } catch {
      // cut or not JSON
    }
  return undefined
}
const describe = (answer) => (answer?.error?.message ? `: ${answer.error.message}` : answer?.status ? ` (${answer.status})` : '')
function nextActionFor(output, answer) {
  if (answer?.error?.nextAction) return answer.error.nextAction
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|registry\.npmjs/.test(output))
    return 'Is the npm registry reachable? Try: npm ping. Behind a proxy set HTTPS_PROXY or npm_config_registry and run this again.'
  if (/ENOSPC/.test(output)) return 'The disk is full: free some space and run npm run up again.'
  return `Its build log is in the dashboard (${dashboard}) and what the platform says in ${logFile}.`
}

function box(rows) {
  const width = Math.max(...rows.map((row) => row.length))
  console.log(['', `╭${'─'.repeat(width + 4)}╮`, ...rows.map((row) => `│  ${row.padEnd(width)}  │`), `╰${'─'.repeat(width + 4)}╯`, ''].join('\n'))
}

async function stop(signal) {
  if (stopping) return
  stopping = true
  if (platform) {
    console.log(`\n${signal}: stopping the platform …`)
    platform.kill('SIGTERM')
    const code = await platform.ended
    console.log(
      code === 0 ? 'Stopped. Apps in containers keep running; npm run up takes them over again.' : `The platform ended with ${code}; see ${logFile}.`,
    )
  }
  process.exit(process.exitCode ?? 0)
}

await main(async () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop(signal))
  whenParentEnds(() => void stop('npm ended'))
  await ensureDependencies()
  const already = runningSupervisor()
  if (already && !(await isReady()))
    throw new Stop(
      `Switchyard already runs on ${home} (process ${already}), but not on port ${ports.PORT}.`,
      `Use the same PORT as when it was started, or stop it first: kill ${already}`,
    )
  if (already) console.log(`Switchyard is already running on ${home} (process ${already}); only deploying the example.`)
  else {
    await checkMachine()
    if (!isBuilt()) {
      console.log('Building the platform (about a minute, only when its sources changed) …')
      if (!(await buildAll()).ok) throw new Stop('The build failed.', 'Its message is above. A fresh install may help: npm ci && npm run up')
    }
    console.log(`Starting the platform on ${home} …`)
    startPlatform()
    await waitUntilReady()
  }
  if (stopping) return
  console.log('Ready. Deploying examples/nextjs …')
  let app
  try {
    app = await deployExample()
  } catch (error) {
    if (stopping) return
    if (!(error instanceof Stop) || already) throw error
    process.exitCode = 1
    console.error(`\n✗ ${error.message}`)
  }
  const firstAccount = lines.filter((line) => /one-time code|first account/i.test(line)).map((line) => line.trim())
  box([
    ...(app ? [`Example app   ${app}`] : ['The example is not running; the platform is.']),
    `Dashboard     ${dashboard}`,
    ...(firstAccount.length > 0 ? ['', ...firstAccount] : []),
    '',
    `Deploy yours  bin/switchyard deploy <folder> --api ${api} --token-file ${home}/secrets/operator.key`,
    already ? `Stop it       kill ${already}` : 'Stop it       Ctrl-C',
  ])
  if (platform) {
    const ended = await platform.ended
    if (!stopping) throw new Stop(`The platform ended (${ended}).`, `The reason is in ${logFile}. Start it again: npm run up`)
  }
})
