// A Docker engine for tests where none runs, without systemd: node scripts/dockerd.mjs start|stop|host [state directory]
// One engine per network namespace: a second one damages docker0 of the first. So an engine that answers is reused, and then not stopped.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { childEnv, main, run, Stop, sleep } from './support/run.mjs'
import { ensureSystemPackages } from './system-packages.mjs'

export const defaultState = '/tmp/switchyard-dockerd'
const systemSocket = '/var/run/docker.sock'
const addressPool = 'base=10.201.0.0/16,size=24'

const files = (state) => ({
  socket: path.join(state, 'docker.sock'),
  pid: path.join(state, 'docker.pid'),
  containerdPid: path.join(state, 'exec/containerd/containerd.pid'),
  containerdRoot: path.join(state, 'exec/containerd'),
  log: path.join(state, 'dockerd.log'),
  before: path.join(state, 'before.json'),
})

/** GET on an engine's socket; undefined when nobody answers in time. */
export function ask(socketPath, url, method = 'GET') {
  return new Promise((resolve) => {
    const req = request({ socketPath, path: url, method, timeout: 5000 }, (res) => {
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
const answers = async (socket) => existsSync(socket) && (await ask(socket, '/_ping'))?.status === 200

/** Socket of an engine that answers: DOCKER_HOST, ours, the system's. */
export async function findEngine(state = defaultState) {
  const named = process.env.DOCKER_HOST?.startsWith('unix://') ? process.env.DOCKER_HOST.slice('unix://'.length) : undefined
  for (const socket of [named, files(state).socket, systemSocket]) if (socket && (await answers(socket))) return socket
  return undefined
}

/** @returns {Promise<{host: string, socket: string, started: boolean}>} an engine that answers; `started`: it is ours to stop. */
export async function startEngine(state = defaultState) {
  const running = await findEngine(state)
  if (running) return { host: `unix://${running}`, socket: running, started: running === files(state).socket }
  if (process.getuid?.() !== 0)
    throw new Stop(
      'No Docker engine answers, and starting one needs root.',
      'Start yours (sudo systemctl start docker), add yourself to the group docker, or run this as root.',
    )
  await ensureSystemPackages(['docker.io', 'iptables', 'iproute2'])
  const at = files(state)
  mkdirSync(state, { recursive: true, mode: 0o711 })
  // It outlives a dockerd that was killed, and holds the lock the next one waits for.
  await endContainerd(at.containerdPid)
  // Stale after a SIGKILL. A containerd pid file whose pid still exists, even as a zombie, makes dockerd wait 15 s and fail.
  for (const file of [at.pid, at.socket, at.containerdPid]) rmSync(file, { force: true })
  // A record that is still there is of an engine that was killed: what lies around now is that engine's, not what was there before.
  if (!recordOfThisBoot(at.before)) writeFileSync(at.before, JSON.stringify(await networkState()))
  const log = openSync(at.log, 'w')
  const args = [
    '--data-root',
    `${state}/data`,
    '--exec-root',
    `${state}/exec`,
    '--pidfile',
    at.pid,
    '-H',
    `unix://${at.socket}`,
    '--default-address-pool',
    addressPool,
  ]
  const limits = ['--log-opt', 'max-size=5m', '--log-opt', 'max-file=2', '--shutdown-timeout', '5', '--log-level', 'warn']
  const engine = spawn('dockerd', [...args, ...limits], { detached: true, stdio: ['ignore', log, log], env: childEnv() })
  engine.unref()
  for (let n = 0; !(await answers(at.socket)); n++) {
    if (n > 300 || engine.exitCode !== null) throw new Stop(`dockerd did not start:\n${readFileSync(at.log, 'utf8').slice(-2000)}`, `Read ${at.log}`)
    await sleep(100)
  }
  return { host: `unix://${at.socket}`, socket: at.socket, started: true }
}

/** Stops the engine of `state` and takes away what dockerd leaves behind: containerd, mounts, bridges, firewall chains, cgroups, its data. */
export async function stopEngine(state = defaultState, { keepData = false } = {}) {
  const at = files(state)
  if (!existsSync(state)) return
  const pid = readPid(at.pid)
  if (pid && nameOf(pid) === 'dockerd') await endProcess(pid, 20_000)
  await endContainerd(at.containerdPid)
  killContainers(at.containerdRoot)
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((entry) => entry.startsWith(`${state}/`)).reverse()) await quiet('umount', '-l', mount)
  await removeNetwork(recordOfThisBoot(at.before))
  if (keepData) for (const file of [at.pid, at.socket, at.before]) rmSync(file, { force: true })
  else rmSync(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

const quiet = (...argv) => run(argv, { capture: true, deadlineMs: 20_000 })
const readPid = (file) => (existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : 0)
const stat = (pid) => {
  try {
    const [, name, state] = /\((.*)\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return { name, zombie: state === 'Z' }
  } catch {
    return { name: undefined, zombie: true }
  }
}
const nameOf = (pid) => stat(pid).name

async function endProcess(pid, graceMs) {
  const deadline = Date.now() + graceMs
  process.kill(pid, 'SIGTERM')
  while (!stat(pid).zombie && Date.now() < deadline) await sleep(50)
  if (!stat(pid).zombie) process.kill(pid, 'SIGKILL')
}

/** Ends the containers that a killed engine left running: each hangs on a shim that names the engine's own directory. */
function killContainers(containerdRoot) {
  const shims = pids().filter(
    (pid) => commandOf(pid).some((argument) => argument.startsWith(containerdRoot)) && /^containerd-shim/.test(nameOf(pid) ?? ''),
  )
  for (const pid of [...shims.flatMap((shim) => pids().filter((pid) => parentOf(pid) === shim)), ...shims])
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // gone already
    }
}
const pids = () =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
const readProc = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
const commandOf = (pid) => readProc(pid, 'cmdline').split('\0')
const parentOf = (pid) => Number(/^PPid:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1])

const bootId = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

async function endContainerd(pidFile) {
  const pid = readPid(pidFile)
  if (pid && nameOf(pid) === 'containerd') await endProcess(pid, 2000)
}

/** What `networkState` wrote down, when that was since this machine was started: a restart takes the firewall's rules away. */
function recordOfThisBoot(file) {
  const record = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  return record?.boot === bootId() ? record : undefined
}

/** What the firewall and the bridges were before dockerd changed them. */
async function networkState() {
  const filter = await quiet('iptables', '-S', 'FORWARD')
  const chains = await quiet('iptables', '-S', 'DOCKER')
  return { boot: bootId(), forwardPolicy: /-P FORWARD (\w+)/.exec(filter.output)?.[1], bridges: await bridgeNames(), chains: chains.ok }
}

/** Asked of the kernel: an engine that was killed answers no question about its networks. */
async function bridgeNames() {
  const { output } = await quiet('ip', '-o', 'link', 'show', 'type', 'bridge')
  return [...output.matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1])
}

async function removeNetwork(before) {
  if (!before || before.chains) return
  const bridges = (await bridgeNames()).filter((name) => !before.bridges.includes(name))
  for (const bridge of bridges) await quiet('ip', 'link', 'del', bridge)
  // Chains of the engine, and of our docker driver, which lives on it.
  const ours = (rule) => / -j (DOCKER|SWITCHYARD)|^-A (DOCKER|SWITCHYARD)/.test(rule) || bridges.some((bridge) => rule.includes(bridge))
  for (const table of ['filter', 'nat']) {
    const rules = (await quiet('iptables', '-t', table, '-S')).output.split('\n')
    for (const rule of rules.filter((line) => line.startsWith('-A ') && ours(line)))
      await quiet('iptables', '-t', table, '-D', ...rule.split(' ').slice(1))
    for (const chain of rules.filter((line) => /^-N (DOCKER|SWITCHYARD)/.test(line))) await quiet('iptables', '-t', table, '-X', chain.split(' ')[1])
  }
  if (before.forwardPolicy) await quiet('iptables', '-P', 'FORWARD', before.forwardPolicy)
  for (const controller of [
    'cpu',
    'cpuacct',
    'cpuset',
    'memory',
    'pids',
    'blkio',
    'devices',
    'freezer',
    'net_cls',
    'perf_event',
    'net_prio',
    'hugetlb',
    'systemd',
  ])
    for (const group of [`/sys/fs/cgroup/${controller}/docker/buildkit`, `/sys/fs/cgroup/${controller}/docker`])
      try {
        rmdirSync(group)
      } catch {
        // not there, or somebody else's
      }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main(async () => {
    const [command, state = defaultState] = process.argv.slice(2)
    if (command === 'start') console.log((await startEngine(state)).host)
    else if (command === 'stop') await stopEngine(state)
    else if (command === 'host') {
      const socket = await findEngine(state)
      if (!socket) throw new Stop('No Docker engine answers.', 'Start one: node scripts/dockerd.mjs start')
      console.log(`unix://${socket}`)
    } else throw new Stop(`Unknown command ${command ?? '(none)'}.`, 'node scripts/dockerd.mjs start|stop|host [state directory]')
  })
