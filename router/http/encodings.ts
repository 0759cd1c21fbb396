/** Content codings we make ourselves. */
export type Encoding = 'br' | 'zstd' | 'gzip'

/** Best ratio first: the choice between codings a client likes equally. */
export const encodings: readonly Encoding[] = ['br', 'zstd', 'gzip']

/** Further codings that apps answer in; what a client says of others chooses nothing. */
const foreign = ['deflate', 'compress', 'dcb', 'dcz']

interface Accepted {
  /** Ours that the client takes at least as gladly as none, best first. */
  ours: readonly Encoding[]
  variant: string
}

const nothing: Accepted = { ours: [], variant: '' }
const known = new Map<string, Accepted>()
const maxKnown = 512

/** Codings the client takes at least as gladly as none, best first (RFC 9110 §12.5.3). */
export const acceptedEncodings = (header: string | undefined): readonly Encoding[] => read(header).ours

/**
 * One spelling for all Accept-Encodings that let an app choose alike. Whatever a client takes however little is in it: an app may send that,
 * and it must not reach one who does not take it.
 */
export const encodingVariant = (header: string | undefined): string => read(header).variant

/** Whether each coding that a Content-Encoding names is told apart by `encodingVariant`. */
export function areKnownCodings(contentEncoding: string | undefined): boolean {
  if (contentEncoding === undefined) return true
  const names: readonly string[] = [...encodings, ...foreign, 'identity', 'x-gzip']
  return contentEncoding.split(',').every((name) => names.includes(name.trim().toLowerCase()))
}

// Browsers send few spellings: each is read once.
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

/** What fits into one packet with its head gains nothing from being smaller. */
export const minCompressBytes = 1400
