// Is what lies in dist/ and .next/ the build of these very sources?
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { childEnv, root, run } from './run.mjs'

const sources = [
  'app',
  'builder',
  'cli',
  'prisma',
  'public',
  'router',
  'runtime',
  'server',
  'shared',
  'storage',
  'scripts/bundle.mjs',
  'next.config.ts',
  'proxy.ts',
]
const settings = ['package.json', 'package-lock.json', 'postcss.config.mjs', 'tsconfig.json']
const stampFile = path.join(root, 'dist/.sources')

function* filesBelow(name) {
  const full = path.join(root, name)
  if (!existsSync(full)) return
  if (path.extname(name) && !readable(full)) yield name
  else
    for (const entry of readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = path.join(name, entry.name)
      if (entry.isDirectory() && inner !== 'server/database/generated') yield* filesBelow(inner)
      else if (entry.isFile() && !/\.test\.tsx?$/.test(entry.name)) yield inner
    }
}
function readable(directory) {
  try {
    readdirSync(directory)
    return true
  } catch {
    return false
  }
}

/** sha256 over names and contents of everything a build reads. */
export function sourcesDigest() {
  const hash = createHash('sha256')
  for (const name of [...sources, ...settings].flatMap((entry) => [...filesBelow(entry)]))
    hash
      .update(`${name}\0`)
      .update(readFileSync(path.join(root, name)))
      .update('\0')
  return hash.digest('hex')
}

/** Written at the end of a build. */
export const markBuilt = (digest = sourcesDigest()) => writeFileSync(stampFile, `${digest}\n`)

export function isBuilt() {
  return existsSync(stampFile) && existsSync(path.join(root, '.next/BUILD_ID')) && readFileSync(stampFile, 'utf8').trim() === sourcesDigest()
}

/** `npm run build`. */
export async function buildAll() {
  const digest = sourcesDigest()
  const env = childEnv()
  // Next refuses to build for anything but production.
  delete env.NODE_ENV
  const result = await run(['npm', 'run', '--silent', 'build'], { env, deadlineMs: 15 * 60_000 })
  // Not what the sources are now, in case they changed meanwhile.
  if (result.ok) markBuilt(digest)
  return result
}
