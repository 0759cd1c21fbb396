/** Content codings we make ourselves. */
export type Encoding = 'br' | 'zstd' | 'gzip'

/** Best ratio first: the choice between codings a client likes equally. */
export const encodings: readonly Encoding[] = ['br', 'zstd', 'gzip']

const none: readonly Encoding[] = []
const known = new Map<string, readonly Encoding[]>()
const maxKnown = 512

/** Codings the client takes at least as gladly as none, best first (RFC 9110 §12.5.3). Browsers send few spellings: each is read once. */
export function acceptedEncodings(header: string | undefined): readonly Encoding[] {
  if (header === undefined) return none
  const before = known.get(header)
  if (before) return before
  const ranked = rank(header)
  if (known.size >= maxKnown) known.clear()
  known.set(header, ranked)
  return ranked
}

function rank(header: string): readonly Encoding[] {
  const weights = new Map<string, number>()
  for (const item of header.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    const q = parameters.map((parameter) => /^q=([01](?:\.\d{0,3})?)$/.exec(parameter)?.[1]).find((value) => value !== undefined)
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, Math.min(1, Number(q ?? 1)))
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0
  const identity = weights.get('identity') ?? 0
  return encodings
    .filter((name) => weightOf(name) > 0 && weightOf(name) >= identity)
    .map((name, at) => ({ name, at, weight: weightOf(name) }))
    .sort((a, b) => b.weight - a.weight || a.at - b.at)
    .map(({ name }) => name)
}

const textLike =
  /^(?:text\/|application\/(?:json|javascript|xml|wasm|manifest\+json|ld\+json|graphql|x-javascript|x-sh|rtf|sql|yaml|toml|vnd\.ms-fontobject)|[a-z]+\/[\w.-]+\+(?:json|xml|text|yaml)|font\/(?:ttf|otf|collection)|image\/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon))/i

/** Whether content of this type shrinks. Event streams are excluded: compression would hold their events back. */
export function isCompressible(contentType: string | undefined): boolean {
  return contentType !== undefined && textLike.test(contentType) && !/^text\/event-stream\b/i.test(contentType)
}

/** What fits into one packet with its head gains nothing from being smaller. */
export const minCompressBytes = 1400
