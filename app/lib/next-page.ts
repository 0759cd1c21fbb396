/** Placeholder origin: a URL that still has this origin after parsing is a path of this site. */
const here = 'http://this-site.invalid'

/**
 * The page to open after sign-in, from a query field. Parsed as a browser does, which drops tabs and line breaks and
 * treats a backslash as a slash. null: not a page of this site (open redirect).
 */
export function ownPage(next: unknown): string | null {
  if (typeof next !== 'string' || !next.startsWith('/')) return null
  const parsed = URL.parse(next, here)
  if (parsed?.origin !== here) return null
  const page = parsed.pathname + parsed.search + parsed.hash
  // Parsing turns `/.//host` into `//host`, which is another host when parsed again.
  return URL.parse(page, here)?.origin === here ? page : null
}
