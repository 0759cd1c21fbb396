import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { baseEnv, exec } from '@/shared/node/exec'

/** Cached facts about files of this machine, by path, size and change time, which avoid reading large files again. */
export interface FileFacts {
  /** sha256 of the content, in hex. */
  digest(file: string): Promise<string>
  /** Paths of the shared libraries of a program; empty for a script or a static program. */
  libraries(program: string): Promise<string[]>
  /** Saves new facts to disk. */
  save(): Promise<void>
}

const linkerCache = '/etc/ld.so.cache'
const lddDeadlineMs = 30_000

const factsSchema = z.record(
  z.string(),
  z.object({ stamp: z.string(), digest: z.string().optional(), libraries: z.array(z.string()).optional(), linker: z.string().optional() }),
)
type Facts = z.infer<typeof factsSchema>

/** Opens the cache `file`; a missing or damaged cache starts empty. */
export async function openFileFacts(file: string): Promise<FileFacts> {
  const facts: Facts = await readFacts(file)
  const linker = await stampOf(linkerCache)
  let changed = false
  const entryOf = async (name: string) => {
    const stamp = await stampOf(name)
    const known = facts[name]
    const entry = known && known.stamp === stamp ? known : { stamp }
    facts[name] = entry
    return entry as Facts[string]
  }
  return {
    async digest(name) {
      const entry = await entryOf(name)
      if (entry.digest === undefined) {
        entry.digest = await hashFile(name)
        changed = true
      }
      return entry.digest
    },
    async libraries(program) {
      const entry = await entryOf(program)
      if (entry.libraries === undefined || entry.linker !== linker) {
        entry.libraries = await askLinker(program)
        entry.linker = linker
        changed = true
      }
      return entry.libraries
    },
    async save() {
      if (changed) await writeFileAtomic(file, JSON.stringify(facts))
      changed = false
    },
  }
}

async function readFacts(file: string): Promise<Facts> {
  try {
    return factsSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return {}
  }
}

/** Identifies the state of a file. Includes the inode's change time, which also changes when size and modification time are preserved. */
async function stampOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null)
  return found ? [found.size, found.mtimeNs, found.ctimeNs, found.ino].join(' ') : 'missing'
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function askLinker(program: string): Promise<string[]> {
  const result = await exec(['ldd', program], { deadlineMs: lddDeadlineMs, env: { ...baseEnv } })
  return [...result.stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string)
}
