/** Names of the sign-in cookies, and which cookies of a browser are trusted. */

const names = ['session-token', 'callback-url', 'csrf-token', 'pkce.code_verifier', 'state', 'nonce', 'device'] as const
type CookieName = (typeof names)[number]

/** With HTTPS the prefix `__Host-`: sibling hosts, where apps of tenants run, cannot set such a cookie (RFC 6265bis §4.1.3.2). */
export const cookieName = (name: CookieName, secure: boolean): string => `${secure ? '__Host-' : ''}next-auth.${name}`

export const cookieOptions = (secure: boolean) => ({ httpOnly: true, sameSite: 'lax', path: '/', secure }) as const

/** The option `cookies` of next-auth. */
export function signInCookies(secure: boolean) {
  const cookie = (name: CookieName, maxAge?: number) => ({
    name: cookieName(name, secure),
    options: { ...cookieOptions(secure), ...(maxAge === undefined ? {} : { maxAge }) },
  })
  return {
    sessionToken: cookie('session-token'),
    callbackUrl: cookie('callback-url'),
    csrfToken: cookie('csrf-token'),
    pkceCodeVerifier: cookie('pkce.code_verifier', 900),
    state: cookie('state', 900),
    nonce: cookie('nonce'),
  }
}

function* pairsOf(header: string): Iterable<{ name: string; text: string }> {
  for (const part of header.split(';')) {
    const text = part.trim()
    if (text !== '') yield { name: text.slice(0, Math.max(0, text.indexOf('='))).trim(), text }
  }
}

/**
 * Removes untrusted sign-in cookies from the Cookie header: names with the prefix of another scheme (such as a forged `__Secure-`), and
 * duplicates. Of two cookies with the same name, the one that we set cannot be determined, so neither is used.
 */
export function takenCookies(header: string, secure: boolean): string {
  const ours = new Set(names.map((name) => cookieName(name, secure)))
  const pairs = [...pairsOf(header)]
  const seen = new Map<string, number>()
  for (const { name } of pairs) seen.set(name, (seen.get(name) ?? 0) + 1)
  const taken = pairs.filter(({ name }) => (ours.has(name) ? seen.get(name) === 1 : !/^(__Host-|__Secure-)?next-auth\./i.test(name)))
  return taken.map(({ text }) => text).join('; ')
}

/** The value of a cookie; null: missing, or sent twice. */
export function readCookie(headers: Headers, name: CookieName, secure: boolean): string | null {
  const wanted = cookieName(name, secure)
  for (const { name: found, text } of pairsOf(takenCookies(headers.get('cookie') ?? '', secure)))
    if (found === wanted) return text.slice(text.indexOf('=') + 1).trim()
  return null
}
