import { mkdir, open, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import type { InstanceLogLine } from '../driver'

/** Lines kept of a removed instance. */
export const keptLines = 5_000
const keptBytes = 8 * 1024 * 1024

/** Stores the end of each removed container's log in `<home>/instances/<id>/log`, until `forget`. */
export class SavedLogs {
  constructor(private readonly home: string) {}

  private directory(instanceId: string): string {
    return path.join(this.home, 'instances', instanceId)
  }

  async save(instanceId: string, lines: AsyncIterable<InstanceLogLine>): Promise<void> {
    const kept: string[] = []
    let size = 0
    for await (const line of lines) {
      const text = `${JSON.stringify(line)}\n`
      kept.push(text)
      size += text.length
      while (kept.length > keptLines || size > keptBytes) size -= kept.shift()?.length ?? 0
    }
    await mkdir(this.directory(instanceId), { recursive: true, mode: 0o700 })
    await writeFileAtomic(path.join(this.directory(instanceId), 'log'), kept.join(''))
  }

  async *read(instanceId: string): AsyncIterable<InstanceLogLine> {
    const text = await readFile(path.join(this.directory(instanceId), 'log'), 'utf8').catch(() => '')
    for (const line of text.split('\n')) {
      if (line === '') continue
      const record = JSON.parse(line) as Omit<InstanceLogLine, 'at'> & { at: string }
      yield { ...record, at: new Date(record.at) }
    }
  }

  async has(instanceId: string): Promise<boolean> {
    const handle = await open(path.join(this.directory(instanceId), 'log'), 'r').catch(() => null)
    await handle?.close()
    return handle !== null
  }

  async forget(instanceId: string): Promise<void> {
    await rm(this.directory(instanceId), { recursive: true, force: true })
  }
}
