/** Rules that keep a push from being deployed. Pure; each reason completes "ignored: ". */

const skipMarkers = ['[skip ci]', '[ci skip]', '[skip deploy]', '[deploy skip]'] as const

/** The skip marker in a commit message, such as `[skip ci]`; null: the message has no marker. */
export function skipMarker(message: string | null): string | null {
  const text = message?.toLowerCase() ?? ''
  return skipMarkers.find((marker) => text.includes(marker)) ?? null
}

/** Whether all changed files lie outside of the project's root directory. An empty list says nothing: an empty commit is pushed to deploy. */
export function isOutside(rootDirectory: string | null, files: readonly string[] | null): boolean {
  const root = (rootDirectory ?? '')
    .replace(/^(\.\/)+/, '')
    .replace(/^\.$/, '')
    .replace(/\/+$/, '')
  if (root === '' || files === null || files.length === 0) return false
  return files.every((file) => !file.startsWith(`${root}/`))
}

/** Path of a repository's address, comparable: hosts ignore the case, `.git` is optional, ssh and https name the same repository. */
function pathOf(address: string): string {
  const path = address.includes('://') ? (URL.parse(address)?.pathname ?? '') : (/^[^:]+:(?!\/\/)(.*)$/.exec(address)?.[1] ?? '')
  return `/${path
    .toLowerCase()
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
    .replace(/^\/+/, '')}`
}

/**
 * Whether an event of the repository `path` (`acme/shop`) concerns the project. The host is not compared: the secret has proved it, and it may be
 * reached by several names.
 */
export const isSameRepository = (address: string, path: string): boolean => pathOf(address).endsWith(`/${path.toLowerCase()}`)
