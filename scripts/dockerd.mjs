// A Docker engine for tests where none runs, without systemd: node scripts/dockerd.mjs start|stop|host [state directory]
// One engine per network namespace: a second one damages docker0 of the first. So an engine that answers is reused, and then not stopped.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
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
  // Stale after a SIGKILL. A containerd pid file whose pid still exists, even as a zombie, makes dockerd wait 15 s and fail.
  for (const file of [at.pid, at.socket, at.containerdPid]) rmSync(file, { force: true })
  writeFileSync(at.before, JSON.stringify(await networkState()))
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
  const containerd = readPid(at.containerdPid)
  const networks = JSON.parse((await ask(at.socket, '/networks'))?.body ?? '[]')
  if (pid && nameOf(pid) === 'dockerd') await endProcess(pid, 20_000)
  if (containerd && nameOf(containerd) === 'containerd') await endProcess(containerd, 2000)
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((entry) => entry.startsWith(`${state}/`)).reverse()) await quiet('umount', '-l', mount)
  await removeNetwork(existsSync(at.before) ? JSON.parse(readFileSync(at.before, 'utf8')) : undefined, networks)
  if (keepData) for (const file of [at.pid, at.socket]) rmSync(file, { force: true })
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

/** What the firewall and docker0 were before dockerd changed them. */
async function networkState() {
  const filter = await quiet('iptables', '-S', 'FORWARD')
  const link = await quiet('ip', 'link', 'show', 'docker0')
  const chains = await quiet('iptables', '-S', 'DOCKER')
  return { forwardPolicy: /-P FORWARD (\w+)/.exec(filter.output)?.[1], docker0: link.ok, chains: chains.ok }
}

async function removeNetwork(before, networks) {
  const bridges = networks
    .filter(({ Driver }) => Driver === 'bridge')
    .map(({ Id, Options }) => Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`)
  for (const bridge of bridges) if (bridge !== 'docker0') await quiet('ip', 'link', 'del', bridge)
  if (!before || before.chains) return
  if (!before.docker0) await quiet('ip', 'link', 'del', 'docker0')
  // Chains of the engine, and of our docker driver, which lives on it.
  const ours = (rule) =>
    / -j (DOCKER|SWITCHYARD)|^-A (DOCKER|SWITCHYARD)/.test(rule) || ['docker0', ...bridges].some((bridge) => rule.includes(bridge))
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
