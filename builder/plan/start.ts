import type { NodeStart } from '@/builder/detect/detection'
import type { StartSpec } from '@/shared/build-plan'

const builtins = new Set(
  '. : [ test cd export set unset if for while until case eval exec source trap wait umask ulimit read echo printf ! { ( alias command'.split(' '),
)

/** One word for the shell. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

/**
 * Lets the program replace the shell, where the text is one plain command: it then gets the signals that ask it to stop.
 * Anything with operators, substitutions or builtins is left as it is.
 */
export function withExec(command: string): string {
  const text = command.trim()
  if (/[;&|<>()`{}\n\r\\]/.test(text)) return command
  const match = /^((?:[A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|[^\s"']*)\s+)*)(\S+)([\s\S]*)$/.exec(text)
  if (!match) return command
  const [, assignments = '', program = '', rest = ''] = match
  if (program.includes('=') || builtins.has(program)) return command
  return `${assignments}exec ${program}${rest}`
}

/** How a server starts inside an artifact that holds the app at `appDirectory` and, in a workspace, shared binaries above it. */
export function nodeStart(start: NodeStart, appDirectory: string, workspaceRoot: string): StartSpec {
  const goThere = appDirectory === '' ? '' : `cd ${shellWord(appDirectory)} && `
  if (start.command === null) {
    const entry = start.entry ?? 'server.js'
    if (goThere === '') return { argv: ['node', entry], env: start.env }
    return { argv: ['sh', '-c', `${goThere}exec node ${shellWord(entry)}`], env: start.env }
  }
  const shared = workspaceRoot === '' ? '' : `$PWD/${workspaceRoot}/node_modules/.bin:`
  return { argv: ['sh', '-c', `${goThere}export PATH="$PWD/node_modules/.bin:${shared}$PATH"; ${withExec(start.command)}`], env: start.env }
}
