import { readdirSync, readFileSync } from 'node:fs'

interface Entry {
  pid: number
  parent: number
  state: string
  /** Number and start time: the number alone is reused. */
  id: string
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function processes(): Map<number, Entry> {
  const all = new Map<number, Entry>()
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = read(`/proc/${name}/stat`)
    const [state = '', parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (stat) all.set(Number(name), { pid: Number(name), parent: Number(parent), state, id: `${name}:${rest[17]}` })
  }
  return all
}

export interface ProcessTree {
  /** Every process that is or was below the root, or carries the marker, and still lives: "pid command". Containers are not counted. */
  alive(): { pid: number; command: string }[]
  /** Follows the tree below `pid` as well. */
  add(pid: number): void
  close(): void
}

/** Follows everything below the added roots, also what leaves the tree later (daemons, orphans of a killed parent). */
export function watchTree(marker: string): ProcessTree {
  const members = new Set<string>()
  const look = (): Map<number, Entry> => {
    const all = processes()
    for (const entry of all.values())
      for (let at: Entry | undefined = entry; at; at = all.get(at.parent))
        if (members.has(at.id)) {
          members.add(entry.id)
          break
        }
    return all
  }
  const timer = setInterval(look, 200)
  timer.unref()
  return {
    alive: () =>
      [...look().values()]
        .filter(({ pid, state, id }) => !'ZX'.includes(state) && (members.has(id) || read(`/proc/${pid}/environ`).split('\0').includes(marker)))
        .filter(({ pid }) => !read(`/proc/${pid}/cgroup`).includes('/docker'))
        .map(({ pid }) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() })),
    add: (pid) => {
      const root = processes().get(pid)
      if (root) members.add(root.id)
    },
    close: () => clearInterval(timer),
  }
}

/** Polls `condition` until it holds; the message names what did not happen. */
export async function until<T>(what: string, deadlineMs: number, condition: () => T | Promise<T>): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value) return value as Exclude<NonNullable<T>, false>
    if (Date.now() > deadline) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
