import type { NodeStart } from '@/builder/detect/detection'
import type { StartSpec } from '@/shared/build-plan'

const builtins = new Set(
  '. : [ test cd export set unset if for while until case eval exec source trap wait umask ulimit read echo printf ! { ( alias command'.split(' '),
)

/** One word for the shell. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

/** One plain command with `exec` before its program, assignments left in front; null for anything else. */
function execPlain(command: string): string | null {
  const match = /^((?:[A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|[^\s"']*)\s+)*)(\S+)([\s\S]*)$/.exec(command)
  if (!match) return null
  const [, assignments = '', program = '', rest = ''] = match
  return program.includes('=') || builtins.has(program) ? null : `${assignments}exec ${program}${rest}`
}

/**
 * Lets the program replace the shell, where the text is one plain command or ends in one after `&&`: it then gets the signals that ask
 * it to stop. Anything with other operators, substitutions or builtins is left as it is.
 */
export function withExec(command: string): string {
  const text = command.trim()
  const last = text.lastIndexOf('&&')
  const head = last < 0 ? '' : text.slice(0, last)
  const tail = text.slice(last < 0 ? 0 : last + 2).trim()
  // Inside quotes "&&" separates nothing.
  if (/[;&|<>()`{}\n\r\\]/.test(tail) || /["'`|\n\\(){}<>;]|[^&]&[^&]/.test(head)) return command
  const plain = execPlain(tail)
  if (plain === null) return command
  return last < 0 ? plain : `${head.trim()} && ${plain}`
}

/**
 * How a server starts inside an artifact that holds the app at `appDirectory` and, in a workspace, shared binaries above it. `preload` is
 * a file of the artifact that every Node of it loads first.
 */
export function nodeStart(start: NodeStart, appDirectory: string, workspaceRoot: string, preload: string | null = null): StartSpec {
  const goThere = appDirectory === '' ? '' : `cd ${shellWord(appDirectory)} && `
  if (start.command === null) {
    const entry = start.entry ?? 'server.js'
    if (goThere === '') return { argv: ['node', entry], env: start.env }
    return { argv: ['sh', '-c', `${goThere}exec node ${shellWord(entry)}`], env: start.env }
  }
  // As npm runs them: in a shell of their own, and nothing starts when one fails.
  const before = start.before.map((hook) => `( ${hook}\n) && `).join('')
  const shared = workspaceRoot === '' ? '' : `$PWD/${workspaceRoot}/node_modules/.bin:`
  const loaded = preload === null ? '' : `export NODE_OPTIONS="--require=$PWD/${preload} $NODE_OPTIONS"; `
  return {
    argv: ['sh', '-c', `${loaded}${goThere}export PATH="$PWD/node_modules/.bin:${shared}$PATH"; ${before}${withExec(start.command)}`],
    env: start.env,
  }
}
