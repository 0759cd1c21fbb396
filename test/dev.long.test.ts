import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { freePorts } from './support/ports'

const root = fileURLToPath(new URL('..', import.meta.url))
const started: number[] = []
const homes: string[] = []

afterEach(async () => {
  for (const pid of started.splice(0)) signalGroup(pid, 'SIGKILL')
  for (const home of homes.splice(0)) await rm(home, { recursive: true, force: true })
})

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // ended
  }
}

/** Processes whose arguments or environment name the home: scripts, platform, Postgres, apps. */
async function processesOf(home: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const mine = await Promise.all(
    pids.map(async (pid) => {
      const [line, environment] = await Promise.all(['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')))
      return `${line}${environment}`.includes(home) && (line ?? '') !== '' ? [`${pid} ${line?.replaceAll('\0', ' ')}`] : []
    }),
  )
  return mine.flat()
}

const status = (url: string, headers = {}) => fetch(url, { headers }).then((r) => r.status, () => 0) // biome-ignore format: one line reads better

describe.each([
  ['dashboard', 'api', 'builder'],
  ['builder', 'dashboard', 'api'],
])('development by parts: %s, %s, %s', (...order) => {
  it('all serve from one home, whatever began first, and leave no process behind', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-dev-'))
    homes.push(home)
    const [port, edge] = await freePorts(2)
    const env = {
      ...process.env,
      SWITCHYARD_HOME: home,
      PORT: String(port),
      EDGE_HTTP_PORT: String(edge),
      EDGE_HTTPS_PORT: '0',
      SWITCHYARD_RUNTIME: 'process',
    }
    for (const part of order) {
      const child = spawn(process.execPath, ['scripts/dev.mjs', part], { cwd: root, env, detached: true, stdio: 'ignore' })
      if (child.pid) started.push(child.pid)
    }
    const within = { timeout: 180_000, interval: 1000 }
    await expect.poll(() => status(`http://127.0.0.1:${port}/login`), within).toBe(200)
    await expect.poll(() => status(`http://127.0.0.1:${Number(port) + 1}/api/health`), within).toBe(200)
    // Answered by the router: no app has this name.
    await expect.poll(() => status(`http://127.0.0.1:${edge}/`), within).toBe(404)
    for (const pid of started.splice(0)) signalGroup(pid, 'SIGTERM')
    await expect.poll(() => processesOf(home), within).toEqual([])
  })
})
