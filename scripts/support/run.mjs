// What the scripts share: children in process groups of their own, the right Node, dependencies that match the lock file.
// Plain Node >= 20 without dependencies: these scripts run on a clone in which nothing is installed yet.
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const groups = new Set()

/** A failure with the next action for a person; printed without a stack. */
export class Stop extends Error {
  constructor(message, nextAction) {
    super(nextAction ? `${message}\n  → ${nextAction}` : message)
    this.name = 'Stop'
  }
}

/** Node 24 out of node_modules; the Node that runs this script as long as nothing is installed. */
export function nodeBinary() {
  const own = path.join(root, 'node_modules/.bin/node')
  return existsSync(own) ? own : process.execPath
}

/** The environment of children: ours, with node_modules/.bin first, so that `#!/usr/bin/env node` finds Node 24 too. */
export function childEnv(extra = {}) {
  const bin = path.join(root, 'node_modules/.bin')
  const rest = (process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(':').filter((entry) => entry !== bin)
  // /usr/sbin holds dockerd and iptables and is not on every PATH.
  for (const needed of ['/usr/sbin', '/sbin']) if (!rest.includes(needed)) rest.push(needed)
  return {
    ...process.env,
    PATH: [bin, ...rest].join(':'),
    NEXT_TELEMETRY_DISABLED: '1',
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    ...extra,
  }
}

/** Full path of an executable that is really there (a dangling link is not). */
export function which(name, env = childEnv()) {
  for (const directory of env.PATH.split(':')) {
    const file = path.join(directory, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // not here
    }
  }
  return undefined
}

/** Starts argv in a process group of its own, without standard input; `stopGroups` ends it with all its children. */
export function startGroup([file, ...args], { cwd = root, env = childEnv(), stdio = ['ignore', 'inherit', 'inherit'], uid, gid } = {}) {
  const child = spawn(file, args, { cwd, env, stdio, detached: true, ...(uid === undefined ? {} : { uid, gid }) })
  groups.add(child)
  // The group may outlive its leader: it is forgotten only when it is empty.
  child.on('exit', () => signalGroup(child.pid, 0) || groups.delete(child))
  return child
}

/** True when the group exists. Signal 0 only asks. */
export function signalGroup(pid, signal) {
  if (!pid) return false
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Ends a group: SIGTERM, then SIGKILL for what is left after `graceMs`. */
export async function stopGroup(pid, graceMs = 10_000) {
  const deadline = Date.now() + graceMs
  if (!signalGroup(pid, 'SIGTERM')) return
  while (signalGroup(pid, 0) && Date.now() < deadline) await sleep(50)
  signalGroup(pid, 'SIGKILL')
}

/** Ends every group that was started and still lives. */
export async function stopGroups(graceMs) {
  await Promise.all([...groups].map((child) => stopGroup(child.pid, graceMs)))
  groups.clear()
}

/**
 * Runs argv to its end, output streamed (or collected with `capture`). A code other than 0 is a result, not an exception.
 * Past `deadlineMs` the whole group is killed. With `until` and `capture`, it is stopped once its output matches.
 */
export function run(argv, { capture = false, deadlineMs = 30 * 60_000, until, ...options } = {}) {
  return new Promise((resolve) => {
    const stdio = capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit']
    const child = startGroup(argv, { ...options, stdio })
    let output = ''
    let late = false
    const collect = (chunk) => {
      output += chunk
      if (until?.test(output)) void stopGroup(child.pid, 15_000)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    const timer = setTimeout(() => {
      late = true
      void stopGroup(child.pid, 5000)
    }, deadlineMs)
    const end = (code, note = '') => {
      clearTimeout(timer)
      resolve({ ok: code === 0 && !late, code, late, output: output + note })
    }
    child.on('error', (error) => end(127, `cannot start ${argv[0]}: ${error.message}\n`))
    child.on('close', (code, signal) => end(code ?? 1, signal ? `killed by ${signal}\n` : ''))
  })
}

/** Runs `work` while no other script of this clone holds the lock `name`. The kernel releases it when we end (flock(1), util-linux). */
export async function withLock(name, work) {
  const file = path.join(root, `.${name}.lock`)
  const holder = spawn('flock', ['--exclusive', file, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    holder.once('error', () => reject(new Stop('flock cannot be started.', 'Install util-linux.')))
    holder.once('exit', () => reject(new Stop(`${file} cannot be locked.`)))
    holder.stdout.once('data', resolve)
    holder.stdin.write('held\n')
  })
  try {
    return await work()
  } finally {
    holder.stdin.end()
  }
}

/** Whether an answer of GET /api/health says ready and is of the installation that lives in `home`. */
export function isOwnAnswer(answer, home) {
  try {
    const { ok, installation } = JSON.parse(answer.body)
    return answer.status === 200 && ok === true && installation === readFileSync(path.join(home, 'installation'), 'utf8').trim()
  } catch {
    return false
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** What the lock file asks for and node_modules does not hold; empty when they match. */
export function staleDependencies() {
  const installedFile = path.join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installedFile)) return ['everything']
  const wanted = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages
  return (
    Object.entries(wanted)
      .filter(([name]) => name.startsWith('node_modules/'))
      // An optional package may be absent: it is for another platform.
      .filter(([name, entry]) => (installed[name] ? installed[name].version !== entry.version : !entry.optional && !entry.peer && !entry.devOptional))
      .map(([name]) => name.replace('node_modules/', ''))
  )
}

/** `npm ci` when node_modules is missing or does not match the lock file. */
export async function ensureDependencies() {
  const stale = staleDependencies()
  if (stale.length === 0) return
  console.log(`Installing dependencies with npm ci (missing or outdated: ${stale.slice(0, 3).join(', ')}${stale.length > 3 ? ', …' : ''})`)
  for (let attempt = 1; ; attempt++) {
    // Children of `npm test` inherit npm_* settings of this very run; npm ci must read its own.
    const env = Object.fromEntries(Object.entries(childEnv()).filter(([key]) => !key.startsWith('npm_lifecycle') && key !== 'npm_command'))
    const { ok } = await run(['npm', 'ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'], { env, deadlineMs: 15 * 60_000 })
    if (ok && staleDependencies().length === 0) break
    if (attempt === 2) throw new Stop('npm ci failed twice.', "Read npm's message above. Is the npm registry reachable? Try: npm ping")
  }
  if (!existsSync(path.join(root, 'node_modules/.bin/node')))
    throw new Stop(
      `There is no Node 24 package for ${process.platform}-${process.arch}.`,
      'Run on Linux x64 or arm64, or put Node 24 at node_modules/.bin/node.',
    )
}

/** Calls `onGone` when our parent has ended: npm killed, or the shell between npm and us that passes no signal on. */
export function whenParentEnds(onGone) {
  const parentOf = (pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return parent
    } catch {
      return undefined
    }
  }
  const parent = process.ppid
  // npm → sh → us: the shell survives npm's SIGKILL.
  const npm = process.env.npm_lifecycle_event ? parentOf(parent) : undefined
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === undefined || parentOf(parent) === npm)) return
    clearInterval(timer)
    onGone()
  }, 500)
  timer.unref()
}

/** Ends the script with the message of a Stop, or the stack of anything unexpected. */
export async function main(work) {
  try {
    await work()
  } catch (error) {
    console.error(error instanceof Stop ? `\n✗ ${error.message}` : error)
    await stopGroups(5000)
    process.exit(1)
  }
}
