/**
 * The path a visitor should have asked for under cleanUrls and trailingSlash, or null when this is it (the routing rules of vercel.json).
 * Works on the path as sent: nothing is decoded, nothing that is not asked for changes.
 */
export function properSpelling(path: string, { cleanUrls, trailingSlash }: { cleanUrls: boolean; trailingSlash: boolean | null }): string | null {
  if (path.startsWith('/.well-known/') || path === '*') return null
  let proper = cleanUrls ? withoutHtml(path) : path
  if (trailingSlash === false && proper.length > 1 && proper.endsWith('/')) proper = bareOf(proper) || '/'
  if (trailingSlash === true) proper = withSlash(proper)
  if (proper === path) return null
  // Two slashes at the front of a Location name a host.
  return `/${proper.replace(/^[/\\]+/, '')}`
}

function withoutHtml(path: string): string {
  const slash = path.endsWith('/') ? '/' : ''
  const bare = slash ? path.slice(0, -1) : path
  if (/(?:^|\/)index(?:\.html)?$/.test(bare)) return bare.replace(/\/?index(?:\.html)?$/, '') || '/'
  return bare.endsWith('.html') ? bare.slice(0, -'.html'.length) || '/' : path
}

// Files keep their name (`/app.js`), and a slash after a file name goes.
function withSlash(path: string): string {
  const bare = bareOf(path)
  const last = bare.slice(bare.lastIndexOf('/') + 1)
  if (bare === '') return '/'
  if (/\.\w+$/.test(last)) return bare
  return last.includes('.') ? path : `${bare}/`
}

// By hand: the expression for it begins anew at every slash of a long run, which costs a visitor nothing and us half a second.
function bareOf(path: string): string {
  let end = path.length
  while (end > 0 && path.charCodeAt(end - 1) === 47) end--
  return path.slice(0, end)
}
