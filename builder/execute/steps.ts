import { randomBytes } from 'node:crypto'
import { LineSplitter } from './log'

/** How one command ended. */
export interface CommandResult {
  code: number
  /** Processes the kernel killed for memory, so far. */
  oomKills: number
  /** Forks refused for the process limit, so far. */
  forksRefused: number
}

/**
 * Runs inside the sandbox and waits for a line before each command, so that a step can be recorded before its side effect and all
 * steps share one sandbox. After each command it writes a line with the marker to both streams. Builtins only: it must also work when
 * no process can be started any more.
 */
const script = `marker=$1; directory=$2; memory=$3; pids=$4; shift 4
count() { n=0; for f in $2; do if [ -r "$f" ]; then while read -r k v; do if [ "$k" = "$1" ]; then n=$v; fi; done <"$f"; fi; done; }
for command do
  IFS= read -r go || exit 125
  if [ "$go" != run ]; then continue; fi
  cd "$directory" || exit 126
  sh -c "$command" </dev/null; code=$?
  count oom_kill "$memory"; oom=$n; count max "$pids"
  printf '\\n%s %s %s %s\\n' "$marker" "$code" "$oom" "$n"
  printf '\\n%s %s %s %s\\n' "$marker" "$code" "$oom" "$n" >&2
done
IFS= read -r end
`

export interface StepScript {
  marker: string
  argv: [string, ...string[]]
}

export function stepScript(options: {
  directory: string
  memoryEvents: readonly string[]
  pidsEvents: readonly string[]
  commands: readonly string[]
}): StepScript {
  const marker = `switchyard-${randomBytes(12).toString('hex')}`
  return {
    marker,
    argv: [
      'sh',
      '-c',
      script,
      'switchyard',
      marker,
      options.directory,
      options.memoryEvents.join(' '),
      options.pidsEvents.join(' '),
      ...options.commands,
    ],
  }
}

type Line = (stream: 'stdout' | 'stderr', text: string) => void

/** The near end of the script: tells it to go on, hands its lines out, knows how each command ended. */
export class StepChannel {
  private readonly input: NodeJS.WritableStream
  private onLine: Line = () => {}
  private waiting: { resolve: (result: CommandResult) => void; reject: (error: Error) => void } | null = null
  private readonly streams: Record<'stdout' | 'stderr', { splitter: LineSplitter; blank: boolean; ended: boolean }>
  private result: CommandResult | null = null
  private gone: Error | null = null

  constructor(input: NodeJS.WritableStream, marker: string) {
    this.input = input
    // A sandbox that dies closes its end; what that means is said by `closed`.
    input.on('error', () => {})
    const make = (name: 'stdout' | 'stderr') => ({ splitter: new LineSplitter((text) => this.take(name, marker, text)), blank: false, ended: false })
    this.streams = { stdout: make('stdout'), stderr: make('stderr') }
  }

  feed(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    this.streams[stream].splitter.push(chunk)
  }

  skip(): void {
    this.input.write('skip\n')
  }

  /** Runs the next command. @throws SandboxGone when the sandbox ended before the command did. */
  run(onLine: Line): Promise<CommandResult> {
    if (this.gone) return Promise.reject(this.gone)
    this.onLine = onLine
    this.result = null
    for (const stream of Object.values(this.streams)) stream.ended = false
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.input.write('run\n')
    })
  }

  closed(code: number | null): void {
    this.fail(new SandboxGone(code))
  }

  /** Nothing more comes: the command that runs, and every later one, ends with this error. */
  fail(error: Error): void {
    for (const stream of Object.values(this.streams)) stream.splitter.end()
    this.gone ??= error
    this.waiting?.reject(this.gone)
    this.waiting = null
  }

  private take(name: 'stdout' | 'stderr', marker: string, text: string): void {
    const stream = this.streams[name]
    if (!text.startsWith(marker)) {
      if (stream.blank) this.onLine(name, '')
      stream.blank = text === ''
      if (text !== '') this.onLine(name, text)
      return
    }
    // The empty line in front of the marker is ours.
    stream.blank = false
    stream.ended = true
    const [code, oomKills, forksRefused] = text
      .slice(marker.length + 1)
      .split(' ')
      .map(Number)
    this.result = { code: code ?? 1, oomKills: oomKills ?? 0, forksRefused: forksRefused ?? 0 }
    if (!this.streams.stdout.ended || !this.streams.stderr.ended) return
    this.waiting?.resolve(this.result)
    this.waiting = null
  }
}

/** The container or process that ran the steps ended before the step did. */
export class SandboxGone extends Error {
  readonly code: number | null
  constructor(code: number | null) {
    super(`the sandbox ended with code ${code}`)
    this.code = code
  }
}
