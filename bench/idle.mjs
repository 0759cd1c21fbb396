// What the platform's own processes use while nothing happens. See README.md.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { main } from '../scripts/support/run.mjs'
import { note, options, run, Stop, sleep, startPlatform } from './support.mjs'

const {
  projects: count,
  minutes,
  settle,
  runtime,
  cpu: cpuBar,
  memory: memoryBar,
} = options({ projects: 100, minutes: 10, settle: 60, runtime: 'process', cpu: 0.5, memory: 200 })

const ticksPerSecond = 100
const read = (file) => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Of one process: CPU seconds of all its threads and of its children that have ended, and memory. The database ends a process with each connection. */
function usage(pid) {
  const stat = read(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const rollup = read(`/proc/${pid}/smaps_rollup`)
  const kB = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
  return {
    cpu: fields.slice(11, 15).reduce((total, ticks) => total + Number(ticks), 0) / ticksPerSecond,
    rssMiB: kB('Rss') / 1024,
    pssMiB: kB('Pss') / 1024,
    descriptors: openFiles(pid),
  }
}

function openFiles(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

const children = (pid) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      const stat = read(`/proc/${one}/stat`)
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
    })

/** Process ids by name; the database is its server with all its connections. */
function ours(home) {
  const groups = {}
  for (const file of readdirSync(path.join(home, 'run')).filter((name) => name.endsWith('.pid')))
    groups[file.replace('.pid', '')] = [JSON.parse(read(path.join(home, 'run', file))).pid]
  const server = Number(read(path.join(home, 'postgres/data/postmaster.pid')).split('\n')[0])
  groups.postgres = [server, ...children(server)]
  return groups
}

function look(home) {
  return Object.fromEntries(
    Object.entries(ours(home)).map(([name, pids]) => {
      const each = pids.map(usage)
      const sum = (key) => each.reduce((total, one) => total + one[key], 0)
      // What the server's processes share must not be counted once for each.
      return [
        name,
        { pids: pids.length, cpu: sum('cpu'), memoryMiB: pids.length > 1 ? sum('pssMiB') : sum('rssMiB'), descriptors: sum('descriptors') },
      ]
    }),
  )
}

/** One app without dependencies, packed once and deployed for every project. */
async function upload(call) {
  const work = mkdtempSync(path.join(tmpdir(), 'switchyard-idle-'))
  const app = path.join(work, 'app')
  mkdirSync(app)
  writeFileSync(
    path.join(app, 'package.json'),
    JSON.stringify({ name: 'idle', version: '1.0.0', private: true, scripts: { start: 'node server.js' } }),
  )
  writeFileSync(
    path.join(app, 'package-lock.json'),
    JSON.stringify({ name: 'idle', version: '1.0.0', lockfileVersion: 3, packages: { '': { name: 'idle', version: '1.0.0' } } }),
  )
  writeFileSync(
    path.join(app, 'server.js'),
    "require('node:http').createServer((_, res) => res.end('ok')).listen(process.env.PORT, process.env.HOST)\nconsole.log('listening')\n",
  )
  const archive = path.join(work, 'app.tar.gz')
  const packed = await run(['tar', '-czf', archive, '-C', app, '.'], { capture: true })
  if (!packed.ok) throw new Stop(`tar failed: ${packed.output}`)
  const { source } = await call('POST', '/sources', readFileSync(archive))
  rmSync(work, { recursive: true, force: true })
  return source
}

function client({ api, token }) {
  return async (method, pathname, body) => {
    const raw = Buffer.isBuffer(body)
    const answer = await fetch(`${api}/api/v1${pathname}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': raw ? 'application/gzip' : 'application/json' },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    const content = await answer.text()
    if (!answer.ok) throw new Stop(`${method} ${pathname}: ${answer.status} ${content.slice(0, 500)}`)
    return content ? JSON.parse(content) : null
  }
}

async function deployAll(call, source) {
  const waiting = Array.from({ length: count }, (_, i) => `idle-${i}`)
  const one = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) {
      const project = await call('POST', '/projects', { name })
      const { deploymentId } = await call('POST', '/deployments', { projectId: project.id, source })
      for (;;) {
        const { status, error } = await call('GET', `/deployments/${deploymentId}`)
        if (status === 'ACTIVE') break
        if (status === 'FAILED' || status === 'CANCELED') throw new Stop(`${name} is ${status}: ${JSON.stringify(error)}`)
        await sleep(200)
      }
      if (waiting.length % 10 === 0) note(`${count - waiting.length} of ${count} deployed`)
    }
  }
  await Promise.all([one(), one(), one()])
}

await main(async () => {
  const platform = await startPlatform(runtime)
  try {
    const call = client(platform)
    await deployAll(call, await upload(call))
    note(`${count} projects run; ${settle} s of rest, then ${minutes} minutes are measured`)
    await sleep(settle * 1000)
    const before = look(platform.home)
    const begin = performance.now()
    await sleep(minutes * 60_000)
    const seconds = (performance.now() - begin) / 1000
    const after = look(platform.home)
    const rows = Object.entries(after).map(([name, now]) => ({
      name,
      processes: now.pids,
      cpuPercent: Number((((now.cpu - (before[name]?.cpu ?? 0)) / seconds) * 100).toFixed(2)),
      memoryMiB: Math.round(now.memoryMiB),
      grewMiB: Math.round(now.memoryMiB - (before[name]?.memoryMiB ?? 0)),
      descriptors: now.descriptors,
    }))
    console.table(rows)
    console.log(JSON.stringify({ projects: count, runtime, seconds: Math.round(seconds), processes: rows }))
    const control = rows.find((row) => row.name === 'control')
    const missed = [
      ...(control.cpuPercent > cpuBar ? [`the control process used ${control.cpuPercent} % of a core, the bar is ${cpuBar} %`] : []),
      ...(control.memoryMiB > memoryBar ? [`the control process holds ${control.memoryMiB} MiB, the bar is ${memoryBar} MiB`] : []),
    ]
    for (const text of missed) console.log(`MISSED: ${text}`)
    if (missed.length > 0) process.exitCode = 1
  } finally {
    await platform.stop()
  }
})
