import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Layout } from './layout'
import { readRecord } from './record'

/** A start that is under way somewhere is younger than this. */
const settledMs = 120_000

/** Removes what a start left that was cut off before its record was written: half-unpacked releases, directories without a record. */
export async function sweepRemains(paths: Layout): Promise<void> {
  for (const name of await namesIn(paths.instances)) {
    const directory = path.join(paths.instances, name)
    if (!(await readRecord(paths, name).catch(() => null)) && (await isSettled(directory)) && !(await namesIn(directory)).includes('log'))
      await rm(directory, { recursive: true, force: true })
  }
  for (const project of await namesIn(paths.projects)) {
    const releases = path.join(paths.projects, project, 'releases')
    for (const name of await namesIn(releases)) {
      const directory = path.join(releases, name)
      if (name.startsWith('.') && (await isSettled(directory))) await rm(directory, { recursive: true, force: true })
    }
  }
}

const namesIn = (directory: string) => readdir(directory).catch(() => [] as string[])

async function isSettled(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => null)
  return found !== null && Date.now() - found.mtimeMs > settledMs
}
