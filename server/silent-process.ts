import { readdir, readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

/** Liveness path. The control process answers it without Next and without the database. */
export const livePath = '/api/live'

/** Resolves on any HTTP response from 127.0.0.1:`port`. @throws on a connection error, or when `signal` aborts first */
export function answersHttp(port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: livePath, agent: false, signal }, (response) => {
      response.resume().on('error', reject)
      resolve()
    }).on('error', reject)
  })
}

const sampleMs = 500
const ticksPerSecond = 100

/** Guesses from /proc why a process does not answer: stopped, blocked on disk, busy event loop. For the log. */
export async function diagnoseSilence(pid: number): Promise<{ reason: string; descriptors: number; residentMiB: number }> {
  const before = await readStat(pid)
  await wait(sampleMs)
  const after = await readStat(pid)
  const descriptors = (await readdir(`/proc/${pid}/fd`).catch(() => [])).length
  const coreShare = (after.ticks - before.ticks) / ticksPerSecond / (sampleMs / 1000)
  return { reason: reasonOf(after.state, coreShare), descriptors, residentMiB: after.residentMiB }
}

function reasonOf(state: string, coreShare: number): string {
  if (state === 'T' || state === 't') return 'it was stopped by a signal or a debugger'
  if (state === 'D') return 'it waits for a disk that does not answer'
  if (coreShare > 0.5) return `its event loop is busy (${Math.round(coreShare * 100)} % of a core)`
  return 'its event loop waits for something that does not come, or it can open no more connections'
}

async function readStat(pid: number): Promise<{ state: string; ticks: number; residentMiB: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    state: fields[0] ?? '',
    ticks: Number(fields[11] ?? 0) + Number(fields[12] ?? 0),
    residentMiB: Math.round((Number(fields[21] ?? 0) * 4) / 1024),
  }
}
