/**
 * Converts a request path to a path below a public directory (`assets/a b.js`, '' for the root), decoded once; a trailing slash stays.
 * null: the path must not match a file. Rejected: broken escapes, encoded slashes, NUL and other control characters, backslashes, empty,
 * `.` and `..` segments, and names with a leading dot except `.well-known` (RFC 8615).
 */
export function publicPath(path: string): string | null {
  if (path.charCodeAt(0) !== 0x2f) return null
  const segments: string[] = []
  for (const raw of path.slice(1).split('/')) {
    const segment = raw.includes('%') ? decode(raw) : raw
    if (segment === null || hasForbidden(segment)) return null
    if (segment.startsWith('.') && segment !== '.well-known') return null
    segments.push(segment)
  }
  if (segments.slice(0, -1).includes('')) return null
  return segments.join('/')
}

/** Whether a directory entry of this name is public. */
export const isPublicName = (name: string): boolean => (!name.startsWith('.') || name === '.well-known') && !hasForbidden(name)

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}

function hasForbidden(segment: string): boolean {
  for (let at = 0; at < segment.length; at++) {
    const code = segment.charCodeAt(at)
    if (code < 0x20 || code === 0x7f || code === 0x2f || code === 0x5c || code === 0xfffd) return true
  }
  return false
}
