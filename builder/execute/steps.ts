import { randomBytes } from 'node:crypto'
import { LineSplitter } from './log'
import type { BuildOutput } from './output'

/** Result of a command. */
export interface CommandResult {
  code: number
  /** Number of processes killed because of memory so far. */
  oomKills: number
  /** Number of forks refused by the process limit so far. */
  forksRefused: number
}

/**
 * Runs inside the sandbox. Waits for a line before each command, so that steps can be recorded before their side effects and share one sandbox.
 * The line contains a random word; the line that reports the end of the command starts with it, so a command cannot forge the report. Output
 * goes to files. Uses only builtins, because it must work when no process can be started.
 */
const script = `directory=$1; output=$2; memory=$3; pids=$4; shift 4
count() { n=0; for f in $2; do if [ -r "$f" ]; then while read -r k v; do if [ "$k" = "$1" ]; then n=$v; fi; done <"$f"; fi; done; }
for command do
  IFS=' ' read -r go word || exit 125
  if [ "$go" != run ]; then continue; fi
  cd "$directory" || exit 126
  sh -c "$command" </dev/null >>"$output/stdout" 2>>"$output/stderr"; code=$?
  count oom_kill "$memory"; oom=$n; count max "$pids"
  printf '%s %s %s %s\\n' "$word" "$code" "$oom" "$n"
done
IFS= read -r end
`

export function stepScript(options: {
  directory: string
  /** Directory of the `BuildOutput` files inside the sandbox. */
  output: string
  memoryEvents: readonly string[]
  pidsEvents: readonly string[]
  commands: readonly string[]
}): [string, ...string[]] {
  const { directory, output, memoryEvents, pidsEvents, commands } = options
  return ['sh', '-c', script, 'switchyard', directory, output, memoryEvents.join(' '), pidsEvents.join(' '), ...commands]
}

type Stream = 'stdout' | 'stderr'
type Line = (stream: Stream, text: string) => void

/** The other side of the script: starts commands, passes on their output, and returns their results. */
export class StepChannel {
  private readonly input: NodeJS.WritableStream
  private readonly output: BuildOutput
  private onLine: Line = () => {}
  private waiting: { word: string; resolve: (result: CommandResult) => void; reject: (error: Error) => void } | null = null
  private readonly splitters: Record<Stream, LineSplitter>
  private readonly ends: LineSplitter
  private readonly ownWords: LineSplitter
  private gone: Error | null = null

  constructor(input: NodeJS.WritableStream, output: BuildOutput) {
    this.input = input
    this.output = output
    // Errors of a dying sandbox are reported by `closed`.
    input.on('error', () => {})
    const make = (name: Stream) => new LineSplitter((text) => this.onLine(name, text))
    this.splitters = { stdout: make('stdout'), stderr: make('stderr') }
    this.ends = new LineSplitter((text) => void this.take(text))
    this.ownWords = new LineSplitter((text) => this.onLine('stderr', text))
    output.onChunk((stream, chunk) => this.splitters[stream].push(chunk))
  }

  /** Reads the script's own output: reports on `stdout`, errors on `stderr`. */
  feed(stream: Stream, chunk: Uint8Array): void {
    if (stream === 'stdout') this.ends.push(chunk)
    else this.ownWords.push(chunk)
  }

  skip(): void {
    this.input.write('skip\n')
  }

  /** Runs the next command. @throws SandboxGone when the sandbox ends before the command. */
  run(onLine: Line): Promise<CommandResult> {
    if (this.gone) return Promise.reject(this.gone)
    this.onLine = onLine
    const word = randomBytes(16).toString('hex')
    return new Promise((resolve, reject) => {
      this.waiting = { word, resolve, reject }
      this.input.write(`run ${word}\n`)
    })
  }

  closed(code: number | null): void {
    this.fail(new SandboxGone(code))
  }

  /** The sandbox has ended: the current command and all later ones fail with this error. */
  fail(error: Error): void {
    this.gone ??= error
    const { waiting } = this
    this.waiting = null
    void this.endOutput().finally(() => waiting?.reject(this.gone ?? error))
  }

  /** Passes on all printed lines, including an incomplete last line. */
  private async endOutput(): Promise<void> {
    await this.output.drain()
    for (const splitter of [...Object.values(this.splitters), this.ownWords]) splitter.end()
  }

  private async take(text: string): Promise<void> {
    const { waiting } = this
    // Another process wrote to the script's stream: ignore it.
    if (!waiting || !text.startsWith(`${waiting.word} `)) return
    this.waiting = null
    const [code, oomKills, forksRefused] = text
      .slice(waiting.word.length + 1)
      .split(' ')
      .map(Number)
    await this.endOutput().then(
      () => waiting.resolve({ code: code ?? 1, oomKills: oomKills ?? 0, forksRefused: forksRefused ?? 0 }),
      (error) => waiting.reject(error),
    )
  }
}

/** The sandbox ended before the command did. */
export class SandboxGone extends Error {
  readonly code: number | null
  constructor(code: number | null) {
    super(`the sandbox ended with code ${code}`)
    this.code = code
  }
}
