/** Marker in the CDN-Loop field (RFC 8586) of requests that rewrites send to other hosts: detects requests that come back. */
const name = 'switchyard'
/** Maximum rounds. Installations may be chained, but a hostname moved to this one while a rewrite still targets it loops forever. */
const maxRounds = 5

/** The CDN-Loop field of an outgoing request, based on that of the incoming request; null: too many rounds. */
export function loopField(came: string | undefined): string | null {
  const before = (came ?? '').split(',').map((entry) => entry.trim())
  const rounds = before.filter((entry) => entry.split(';', 1)[0]?.trim() === name).length
  if (rounds >= maxRounds) return null
  return [...before.filter((entry) => entry !== ''), name].join(', ')
}
