// Which processes did this run start, and which of them are still there? Answers from /proc, also for those that left our process tree.
import { readdirSync, readFileSync } from 'node:fs'

function processes() {
  const all = new Map()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const pid = Number(entry)
      // Number plus start time is an identity; the number alone is reused.
      all.set(pid, { pid, state: fields[0], parent: Number(fields[1]), id: `${entry}:${fields[19]}` })
    } catch {
      // ended while we looked
    }
  }
  return all
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Follows the process tree below us from now on; `marker` is an environment entry (NAME=value) every child inherits. */
export function watchProcesses(marker) {
  const before = new Set([...processes().values()].map((entry) => entry.id))
  const members = new Set()

  // A daemon that left the tree is known as a member from when it was in it, and its children are members in turn.
  const look = () => {
    const all = processes()
    const isOurs = (entry) => {
      for (let at = entry; at; at = all.get(at.parent)) if (at.pid === process.pid || members.has(at.id)) return true
      return false
    }
    for (const entry of all.values()) if (entry.pid !== process.pid && !before.has(entry.id) && isOurs(entry)) members.add(entry.id)
    return all
  }
  const timer = setInterval(look, 500)
  timer.unref()

  return {
    /** Processes of this run that are still alive, with their command lines. */
    alive() {
      const left = []
      for (const entry of look().values()) {
        if (entry.state === 'Z' || entry.state === 'X' || entry.pid === process.pid || before.has(entry.id)) continue
        if (members.has(entry.id) || read(`/proc/${entry.pid}/environ`).split('\0').includes(marker))
          left.push({ pid: entry.pid, command: read(`/proc/${entry.pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 160) })
      }
      return left
    },
    close: () => clearInterval(timer),
  }
}
