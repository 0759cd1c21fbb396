/** Content codings that the router produces. */
export type Encoding = 'br' | 'zstd' | 'gzip'

/** Best ratio first: decides between codings that a client prefers equally. */
export const encodings: readonly Encoding[] = ['br', 'zstd', 'gzip']

/** Further codings that apps may produce; all other codings in Accept-Encoding are ignored. */
const foreign = ['deflate', 'compress', 'dcb', 'dcz']

interface Accepted {
  /** Our codings that the client prefers at least as much as no coding, best first. */
  ours: readonly Encoding[]
  variant: string
}

const nothing: Accepted = { ours: [], variant: '' }
const known = new Map<string, Accepted>()
const maxKnown = 512

/** Our codings that the client prefers at least as much as no coding, best first (RFC 9110 §12.5.3). */
export const acceptedEncodings = (header: string | undefined): readonly Encoding[] => read(header).ours

/**
 * Normalizes Accept-Encoding: fields that lead an app to the same choice have one variant. Codings with a low weight are included, because
 * an app may send them, and clients that do not accept them must not receive them.
 */
export const encodingVariant = (header: string | undefined): string => read(header).variant

/** Whether `encodingVariant` distinguishes every coding that Content-Encoding names. */
export function areKnownCodings(contentEncoding: string | undefined): boolean {
  if (contentEncoding === undefined) return true
  const names: readonly string[] = [...encodings, ...foreign, 'identity', 'x-gzip']
  return contentEncoding.split(',').every((name) => names.includes(name.trim().toLowerCase()))
}

// Browsers send few different fields: cache the parsed results.
function read(header: string | undefined): Accepted {
  if (header === undefined) return nothing
  const before = known.get(header)
  if (before) return before
  const accepted = rank(header)
  if (known.size >= maxKnown) known.clear()
  known.set(header, accepted)
  return accepted
}

function rank(header: string): Accepted {
  const weights = new Map<string, number>()
  for (const item of header.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    const q = parameters.map((parameter) => /^q=([01](?:\.\d{0,3})?)$/.exec(parameter)?.[1]).find((value) => value !== undefined)
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, Math.min(1, Number(q ?? 1)))
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0
  const identity = weights.get('identity') ?? 0
  const ours = encodings
    .filter((name) => weightOf(name) > 0 && weightOf(name) >= identity)
    .map((name, at) => ({ name, at, weight: weightOf(name) }))
    .sort((a, b) => b.weight - a.weight || a.at - b.at)
    .map(({ name }) => name)
  const others = [...encodings, ...foreign].filter((name) => weightOf(name) > 0 && !ours.some((one) => one === name))
  return { ours, variant: [...ours, ...others.map((name) => `(${name})`)].join() }
}

const textLike =
  /^(?:text\/|application\/(?:json|javascript|xml|wasm|manifest\+json|ld\+json|graphql|x-javascript|x-sh|rtf|sql|yaml|toml|vnd\.ms-fontobject)|[a-z]+\/[\w.-]+\+(?:json|xml|text|yaml)|font\/(?:ttf|otf|collection)|image\/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon))/i

/** Whether content of this type shrinks. Event streams are excluded: compression would hold their events back. */
export function isCompressible(contentType: string | undefined): boolean {
  return contentType !== undefined && textLike.test(contentType) && !/^text\/event-stream\b/i.test(contentType)
}

/** Smaller content fits in one packet with its head, so compression gains nothing. */
export const minCompressBytes = 1400
