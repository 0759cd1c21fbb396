/** Reads parts of lock files without parsing them completely: they can have tens of megabytes and are untrusted. */

export const maxLockBytes = 32 * 1024 * 1024

const escapeName = (name: string) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** The resolved version of a direct dependency in a lock file; null: not found. */
export function lockedVersion(lockText: string, lockName: string, dependency: string): string | null {
  const name = escapeName(dependency)
  const patterns: Record<string, RegExp> = {
    'package-lock.json': new RegExp(`"node_modules/${name}":\\s{0,20}\\{\\s{0,20}"version":\\s{0,5}"([^"]{1,60})"`),
    'npm-shrinkwrap.json': new RegExp(`"node_modules/${name}":\\s{0,20}\\{\\s{0,20}"version":\\s{0,5}"([^"]{1,60})"`),
    'pnpm-lock.yaml': new RegExp(`\\n {4,8}'?${name}'?:\\n {6,10}specifier:[^\\n]{0,200}\\n {6,10}version: '?([\\w.+-]{1,60})`),
    'yarn.lock': new RegExp(`\\n"?${name}@[^\\n]{0,300}:\\n {2}version:? "?([\\w.+-]{1,60})`),
  }
  return patterns[lockName]?.exec(lockText)?.[1] ?? null
}

/** The pnpm version that writes this format of lock file. */
export function pnpmVersionFor(lockText: string | null): string {
  const version = /^lockfileVersion:\s*['"]?(\d+)(?:\.(\d+))?/m.exec((lockText ?? '').slice(0, 4096))?.[1]
  if (version === '5') return '7'
  if (version === '6') return '8'
  return '10'
}

/** Newest Yarn for each `__metadata` version: a newer Yarn would rewrite the file, which an immutable install refuses (YN0028). */
const yarnByMetadata: [number, string][] = [
  [4, '2'],
  [5, '3.1'],
  [6, '3'],
  [8, '4.12'],
  [9, '4.14'],
]

/** The Yarn version for a lock file: classic without a `__metadata` block, else by its version. */
export function yarnVersionFor(lockText: string | null): string {
  const version = /^__metadata:\s*\n\s*version:\s*"?(\d+)/m.exec((lockText ?? '').slice(0, 4096))?.[1]
  if (version === undefined) return '1'
  return yarnByMetadata.find(([metadata]) => Number(version) <= metadata)?.[1] ?? '4'
}
