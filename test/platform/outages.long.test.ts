import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Footprint, footprintOf } from '../support/footprint'
import { deployByCli, folder, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { postgresPid } from '../support/platform-database'
import { until } from '../support/processes'
import { startVisitor } from '../support/visitor'

const backWithinMs = 10_000
const figures: Record<string, unknown> = {}

describe('outages of what the platform itself stands on', () => {
  let platform: RunningPlatform
  let app: Awaited<ReturnType<typeof folder>>
  let before: Footprint
  beforeAll(async () => {
    platform = await startPlatform({ runtime: 'process' })
    app = await folder(tinyServer('1'))
    const deployed = await deployByCli(platform, app.directory, 'tiny')
    expect(deployed.code, deployed.stderr).toBe(0)
    // Everything that is opened at its first use has been used.
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
  }, 600_000)
  beforeEach(async () => {
    await until('all is well', 60_000, isWell)
    // What the last deployment replaced has been stopped by then.
    await wait(5_000)
    before = await footprintOf(platform)
  }, 120_000)
  afterAll(async () => {
    console.log(JSON.stringify(figures, null, 2))
    await app?.remove()
    await platform?.stop()
  })

  const isWell = async () => {
    const answer = await fetch(`${platform.url}/api/health`, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    const health = (await answer?.json().catch(() => null)) as { ok: boolean; checks: Record<string, boolean> } | null
    return Boolean(health?.ok && health.checks.database && health.checks.routers)
  }
  /** The API reads and answers, which takes the database. */
  const isBack = async () => {
    const headers = { authorization: `Bearer ${platform.apiKey}` }
    const answer = await fetch(`${platform.url}/api/v1/projects`, { headers, signal: AbortSignal.timeout(5_000) }).catch(() => null)
    return answer?.status === 200 && (await isWell())
  }
  const backAfter = async (what: string, deadlineMs = backWithinMs) => {
    const since = Date.now()
    await until(`the platform is back after ${what}`, deadlineMs, isBack)
    return Date.now() - since
  }
  const asBefore = async (name: string) => {
    let now = await footprintOf(platform)
    await until('connections, descriptors, groups, processes and directories are as before', 90_000, async () => {
      now = await footprintOf(platform)
      return isAsBefore(now)
    }).catch((error: Error) => {
      throw new Error(`${error.message}: before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`)
    })
    expect(now.connections.listening).toBe(1)
    figures[name] = { ...(figures[name] as object), footprint: { before, now } }
  }
  const isAsBefore = (now: Footprint) =>
    JSON.stringify([now.processes, now.groups.length, now.directories]) ===
      JSON.stringify([before.processes, before.groups.length, before.directories]) &&
    now.connections.listening === 1 &&
    // Pools grow to what an hour of work needs, and no further.
    now.connections.all <= before.connections.all + 10 &&
    now.descriptors.control <= before.descriptors.control + 15 &&
    now.descriptors.router <= before.descriptors.router + 5 &&
    now.descriptors.supervisor <= before.descriptors.supervisor + 5
  const visited = async (visits: ReturnType<typeof startVisitor>) => {
    const { count, failures } = await visits.stop()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(20)
    return count
  }

  test('Postgres killed ten times: apps answer throughout, all is back within 10 s each time, nothing is left over', async () => {
    const visits = startVisitor(platform, 'tiny.localhost', 50)
    const backMs: number[] = []
    for (let kill = 1; kill <= 10; kill++) {
      process.kill(await postgresPid(platform), 'SIGKILL')
      backMs.push(await backAfter(`kill ${kill} of Postgres`))
    }
    figures['ten kills of Postgres'] = { backMs, visits: await visited(visits) }
    await asBefore('ten kills of Postgres')
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
  })

  /** The server and every process of it: it takes connections and answers nothing. */
  const freeze = async (signal: 'SIGSTOP' | 'SIGCONT') => {
    const pid = await postgresPid(platform)
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)
    // The server first when it stops and last when it goes on: it sees none of its children stopped.
    for (const one of signal === 'SIGSTOP' ? [pid, ...children] : [...children, pid]) process.kill(one, signal)
  }

  test('five outages of the database of 20 s, and one of two minutes: one LISTEN connection in the end, and all as before', async () => {
    const visits = startVisitor(platform, 'tiny.localhost', 50)
    const backMs: number[] = []
    const [control] = (await platform.pids()).control
    for (const seconds of [20, 20, 20, 20, 20, 120]) {
      await freeze('SIGSTOP')
      await wait(seconds * 1000)
      await freeze('SIGCONT')
      backMs.push(await backAfter(`an outage of ${seconds} s`))
    }
    figures['outages of the database'] = { backMs, visits: await visited(visits) }
    await asBefore('outages of the database')
    // A database that is away is no reason to replace the control process.
    expect((await platform.pids()).control).toEqual([control])
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
  })

  test('the control process stopped for a minute: the supervisor replaces it and says why, apps answer throughout', async () => {
    const visits = startVisitor(platform, 'tiny.localhost', 50)
    const [stopped = 0] = (await platform.pids()).control
    const since = Date.now()
    process.kill(stopped, 'SIGSTOP')
    await until('another control process is there', 60_000, async () => {
      const [now] = (await platform.pids()).control
      return now !== undefined && now !== stopped
    })
    const replacedMs = Date.now() - since
    const backMs = await backAfter('the replacement of the control process', 60_000)
    expect(platform.output()).toMatch(/control has not answered for 30 s: it was stopped by a signal or a debugger\. It is ended and replaced/)
    figures['a stopped control process'] = { replacedMs, backMs, visits: await visited(visits) }
    await asBefore('a stopped control process')
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
  })
})
