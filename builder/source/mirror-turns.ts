/** Uses of a project's mirror take turns in this process: Git's own locks would make the second of two fetches fail, and a removal would pull it away. */

const turns = new Map<string, Promise<unknown>>()

function settle(mirror: string, turn: Promise<unknown>): void {
  const settled = turn.then(
    () => {},
    () => {},
  )
  turns.set(mirror, settled)
  void settled.then(() => {
    if (turns.get(mirror) === settled) turns.delete(mirror)
  })
}

/** Runs `work` when no other use of the mirror is under way. undefined: nothing is shared. */
export async function takeTurns<T>(mirror: string | undefined, work: () => Promise<T>): Promise<T> {
  if (mirror === undefined) return work()
  const turn = (turns.get(mirror) ?? Promise.resolve()).then(work, work)
  settle(mirror, turn)
  return turn
}

/** Keeps the mirror from being used until the returned function is called; uses that begin meanwhile wait. null: it is in use. */
export function holdMirror(mirror: string): (() => void) | null {
  if (turns.has(mirror)) return null
  const { promise, resolve } = Promise.withResolvers<void>()
  settle(mirror, promise)
  return resolve
}
