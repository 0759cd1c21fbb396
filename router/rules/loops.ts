/** Requests carry this beyond the machine when a rewrite leads out (RFC 8586): one that comes back is known by it. */
const name = 'switchyard'
/** Installations may stand behind one another; a name that was moved here while a rewrite still leads to it has no end. */
const mostRounds = 5

/** The CDN-Loop field of a request that leaves, from the one it came with; null: it has come round too often. */
export function loopField(came: string | undefined): string | null {
  const before = (came ?? '').split(',').map((entry) => entry.trim())
  const rounds = before.filter((entry) => entry.split(';', 1)[0]?.trim() === name).length
  if (rounds >= mostRounds) return null
  return [...before.filter((entry) => entry !== ''), name].join(', ')
}
