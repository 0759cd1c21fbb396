/** An origin that no page has: what still belongs to it after parsing is a path of this very site. */
const here = 'http://this-site.invalid'

/**
 * The page to go to after sign-in, from what stands in the address. Parsed as a browser parses it, which drops tabs and line breaks and
 * takes a backslash for a slash. null: it names no page of this site.
 */
export function ownPage(next: unknown): string | null {
  if (typeof next !== 'string' || !next.startsWith('/')) return null
  const parsed = URL.parse(next, here)
  if (parsed?.origin !== here) return null
  const page = parsed.pathname + parsed.search + parsed.hash
  // `/.//host` becomes `//host` by parsing, which names a host when it is parsed again.
  return URL.parse(page, here)?.origin === here ? page : null
}
