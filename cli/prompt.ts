import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { maxVariableBytes } from '@/shared/variables'
import { Interrupted, UsageError } from './failure'

/** Prompts on a terminal. Without a terminal, the error names the option to use instead. */
export async function ask(question: string, options: { hidden?: boolean; preset?: string; instead: string }): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new UsageError(`${question}: there is no terminal to ask on.`, options.instead)
  let muted = false
  const out = new Writable({
    write(chunk, _encoding, done) {
      // A hidden prompt echoes only the line end.
      if (!muted) process.stderr.write(chunk)
      else if (String(chunk).includes('\n')) process.stderr.write('\n')
      done()
    },
  })
  const lines = createInterface({ input: process.stdin, output: out, terminal: true })
  const interrupted = new Promise<never>((_, reject) => lines.once('SIGINT', () => reject(new Interrupted())))
  try {
    const answer = lines.question(`${question}${options.preset ? ` (${options.preset})` : ''}: `)
    muted = options.hidden === true
    return (await Promise.race([answer, interrupted])).trim() || options.preset || ''
  } finally {
    lines.close()
  }
}

/**
 * Confirms an irreversible action: the person types its name. There is no prompt without a terminal, with
 * `--json` or with `--yes`. @throws UsageError if another text was typed
 */
export async function confirmByName(what: string, name: string, options: { yes?: boolean; json?: boolean }): Promise<void> {
  if (options.yes || options.json || !process.stdin.isTTY || !process.stderr.isTTY) return
  const typed = await ask(`${what} Type ${name} to confirm`, { instead: 'Give --yes.' })
  if (typed.toLowerCase() !== name.toLowerCase()) throw new UsageError('Not confirmed: nothing was changed.', `Type ${name}, or give --yes.`)
}

/** Reads standard input to its end, without the trailing line end of `echo`. */
export async function readStandardInput(maxBytes = maxVariableBytes + 2): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new UsageError(`The value on standard input is longer than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
