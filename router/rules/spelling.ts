/**
 * The canonical path under cleanUrls and trailingSlash (routing rules of vercel.json); null: the path is already canonical. Works on the
 * path as sent, without decoding.
 */
export function properSpelling(path: string, { cleanUrls, trailingSlash }: { cleanUrls: boolean; trailingSlash: boolean | null }): string | null {
  if (path.startsWith('/.well-known/') || path === '*') return null
  let proper = cleanUrls ? withoutHtml(path) : path
  if (trailingSlash === false && proper.length > 1 && proper.endsWith('/')) proper = bareOf(proper) || '/'
  if (trailingSlash === true) proper = withSlash(proper)
  if (proper === path) return null
  // A Location that starts with two slashes would name another host.
  return `/${proper.replace(/^[/\\]+/, '')}`
}

function withoutHtml(path: string): string {
  const slash = path.endsWith('/') ? '/' : ''
  const bare = slash ? path.slice(0, -1) : path
  if (/(?:^|\/)index(?:\.html)?$/.test(bare)) return bare.replace(/\/?index(?:\.html)?$/, '') || '/'
  return bare.endsWith('.html') ? bare.slice(0, -'.html'.length) || '/' : path
}

// File names are unchanged (`/app.js`); a slash after a file name is removed.
function withSlash(path: string): string {
  const bare = bareOf(path)
  const last = bare.slice(bare.lastIndexOf('/') + 1)
  if (bare === '') return '/'
  if (/\.\w+$/.test(last)) return bare
  return last.includes('.') ? path : `${bare}/`
}

// A loop instead of a regular expression: backtracking on a long run of slashes would block the worker for half a second.
function bareOf(path: string): string {
  let end = path.length
  while (end > 0 && path.charCodeAt(end - 1) === 47) end--
  return path.slice(0, end)
}
