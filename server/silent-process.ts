import { readdir, readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

/** Answered by the control process itself, before the dashboard's framework and without the database. */
export const livePath = '/api/live'

/** Resolves when the HTTP server on this port of ours answers anything. @throws when it does not before `signal` */
export function answersHttp(port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: livePath, agent: false, signal }, (response) => {
      response.resume().on('error', reject)
      resolve()
    }).on('error', reject)
  })
}

const lookMs = 500
const ticksPerSecond = 100

/** What a process that does not answer seems to be doing, for the log. */
export async function whyIsItSilent(pid: number): Promise<{ reason: string; descriptors: number; residentMiB: number }> {
  const before = await look(pid)
  await wait(lookMs)
  const after = await look(pid)
  const descriptors = (await readdir(`/proc/${pid}/fd`).catch(() => [])).length
  const coreShare = (after.ticks - before.ticks) / ticksPerSecond / (lookMs / 1000)
  return { reason: reasonOf(after.state, coreShare), descriptors, residentMiB: after.residentMiB }
}

function reasonOf(state: string, coreShare: number): string {
  if (state === 'T' || state === 't') return 'it was stopped by a signal or a debugger'
  if (state === 'D') return 'it waits for a disk that does not answer'
  if (coreShare > 0.5) return `its event loop is busy (${Math.round(coreShare * 100)} % of a core)`
  return 'its event loop waits for something that does not come, or it can open no more connections'
}

async function look(pid: number): Promise<{ state: string; ticks: number; residentMiB: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    state: fields[0] ?? '',
    ticks: Number(fields[11] ?? 0) + Number(fields[12] ?? 0),
    residentMiB: Math.round((Number(fields[21] ?? 0) * 4) / 1024),
  }
}
