import type { NodeStart } from '@/builder/detect/detection'
import type { StartSpec } from '@/shared/build-plan'

const builtins = new Set(
  '. : [ test cd export set unset if for while until case eval exec source trap wait umask ulimit read echo printf ! { ( alias command'.split(' '),
)

/** Quotes a word for the shell. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

/** Adds `exec` to a single plain command, after its assignments; null: any other text. */
function execPlain(command: string): string | null {
  const match = /^((?:[A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|[^\s"']*)\s+)*)(\S+)([\s\S]*)$/.exec(command)
  if (!match) return null
  const [, assignments = '', program = '', rest = ''] = match
  return program.includes('=') || builtins.has(program) ? null : `${assignments}exec ${program}${rest}`
}

/**
 * Adds `exec` if the text is one plain command or ends in one after `&&`, so that the program replaces the shell and gets its signals. Text with
 * other operators, substitutions or builtins is unchanged.
 */
export function withExec(command: string): string {
  const text = command.trim()
  const last = text.lastIndexOf('&&')
  const head = last < 0 ? '' : text.slice(0, last)
  const tail = text.slice(last < 0 ? 0 : last + 2).trim()
  // "&&" within quotes is not an operator.
  if (/[;&|<>()`{}\n\r\\]/.test(tail) || /["'`|\n\\(){}<>;]|[^&]&[^&]/.test(head)) return command
  const plain = execPlain(tail)
  if (plain === null) return command
  return last < 0 ? plain : `${head.trim()} && ${plain}`
}

/** Where the pnpm or Yarn of the build lies in an artifact whose start command calls it. */
export const packageManagerPath = '.switchyard/package-manager'

/** Whether a start calls pnpm or Yarn by name. */
export function callsPackageManager({ before, command }: NodeStart): boolean {
  return [...before, command ?? ''].some((text) => /(?:^|[\s;&|(])(?:pnpm|pnpx|yarn|yarnpkg)(?=$|[\s;&|)])/.test(text))
}

/**
 * How a server starts inside an artifact that holds the app at `appDirectory` and, in a workspace, shared binaries above it. `preload` is
 * a file of the artifact that every Node of it loads first. `brings`: the artifact holds its package manager.
 */
export function nodeStart(
  start: NodeStart,
  appDirectory: string,
  workspaceRoot: string,
  { preload = null, brings = false }: { preload?: string | null; brings?: boolean } = {},
): StartSpec {
  const goThere = appDirectory === '' ? '' : `cd ${shellWord(appDirectory)} && `
  if (start.command === null) {
    const entry = start.entry ?? 'server.js'
    if (goThere === '') return { argv: ['node', entry], env: start.env }
    return { argv: ['sh', '-c', `${goThere}exec node ${shellWord(entry)}`], env: start.env }
  }
  // Like npm: each hook runs in its own shell, and a failure prevents the start.
  const before = start.before.map((hook) => `( ${hook}\n) && `).join('')
  const shared = workspaceRoot === '' ? '' : `$PWD/${workspaceRoot}/node_modules/.bin:`
  const loaded = preload === null ? '' : `export NODE_OPTIONS="--require=$PWD/${preload} $NODE_OPTIONS"; `
  const manager = brings ? `export PATH="$PWD/${packageManagerPath}/.bin:$PATH"; ` : ''
  return {
    argv: ['sh', '-c', `${loaded}${manager}${goThere}export PATH="$PWD/node_modules/.bin:${shared}$PATH"; ${before}${withExec(start.command)}`],
    env: start.env,
  }
}
