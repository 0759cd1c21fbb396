/** The cookie that keeps a client at one instance. Only the router can interpret its value. */
export const targetCookie = 'sy_target'

/** `Set-Cookie` for it. Lives as long as the browser's session. */
export const setTargetCookie = (token: string, secure: boolean): string =>
  `${targetCookie}=${token}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`

/** The first value of `name` in a Cookie header (RFC 6265, 4.2.1), or null. */
export function readCookie(header: string, name: string): string | null {
  let at = 0
  while (at < header.length) {
    let end = header.indexOf(';', at)
    if (end === -1) end = header.length
    while (at < end && (header.charCodeAt(at) === 32 || header.charCodeAt(at) === 9)) at++
    if (header.startsWith(name, at) && header.charCodeAt(at + name.length) === 61) return header.slice(at + name.length + 1, end).trim()
    at = end + 1
  }
  return null
}
