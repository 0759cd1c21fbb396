import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { killGroup, start } from '@/shared/node/exec'
import { openOutput } from './output'
import { SandboxGone, StepChannel, stepScript } from './steps'

const pids: number[] = []
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const pid of pids.splice(0)) killGroup(pid, 'SIGKILL')
  for (const close of closing.splice(0)) await close()
})

async function open(...commands: string[]) {
  const directory = await mkdtemp(path.join(tmpdir(), 'steps-'))
  const output = await openOutput(path.join(directory, 'output'), null, { maxBytes: 1e9, onFlood: () => {} })
  closing.push(
    () => output.close(),
    () => rm(directory, { recursive: true, force: true }),
  )
  const argv = stepScript({ directory: '/tmp', output: output.directory, memoryEvents: [], pidsEvents: ['/nowhere'], commands })
  const child = start(argv, { detached: true, stdio: 'pipe' })
  if (child.pid) pids.push(child.pid)
  if (!child.stdin) throw new Error('no pipe')
  const channel = new StepChannel(child.stdin, output)
  child.stdout?.on('data', (chunk: Buffer) => channel.feed('stdout', chunk))
  child.stderr?.on('data', (chunk: Buffer) => channel.feed('stderr', chunk))
  child.on('exit', (code) => channel.closed(code))
  const lines: string[] = []
  return { channel, lines, child, run: () => channel.run((stream, text) => lines.push(`${stream}: ${text}`)) }
}

describe('the step script', () => {
  it('runs one command after another, each only when told, with all of its output before its end', async () => {
    const steps = await open('echo one; echo warned >&2; printf "no line end"', 'echo two')
    expect(await steps.run()).toEqual({ code: 0, oomKills: 0, forksRefused: 0 })
    expect(steps.lines.sort()).toEqual(['stderr: warned', 'stdout: no line end', 'stdout: one'])
    steps.lines.length = 0
    expect((await steps.run()).code).toBe(0)
    expect(steps.lines).toEqual(['stdout: two'])
  })
  it('keeps empty lines of the command but not its own', async () => {
    const steps = await open('echo; echo x; echo')
    await steps.run()
    expect(steps.lines).toEqual(['stdout: ', 'stdout: x', 'stdout: '])
  })
  it('leaves a skipped command out', async () => {
    const steps = await open('exit 3', 'echo second')
    steps.channel.skip()
    expect((await steps.run()).code).toBe(0)
    expect(steps.lines).toEqual(['stdout: second'])
  })
  it('reports the code of a command that fails', async () => {
    expect((await (await open('exit 42')).run()).code).toBe(42)
  })
  it('keeps all that a program printed before it ended itself, however slow we read', async () => {
    const program =
      "for (let i = 0; i < 400; i++) console.log('step ' + i + ' ' + '.'.repeat(500)); console.log('ERROR: the real reason'); process.exit(1)"
    const steps = await open(`${process.execPath} -e "${program}"`)
    expect((await steps.run()).code).toBe(1)
    expect(steps.lines).toHaveLength(401)
    expect(steps.lines.at(-1)).toBe('stdout: ERROR: the real reason')
  })
  it('takes the end of a command from nobody but the script: a build that fails cannot say that it did not', async () => {
    const forge =
      'for word in $(tr "\\0" " " </proc/$PPID/cmdline) run; do for fd in 1 2; do printf "\\n%s 0 0 0\\n" "$word" >/proc/$PPID/fd/$fd; done; done; exit 1'
    const steps = await open(forge, 'exit 0')
    expect((await steps.run()).code).toBe(1)
    expect((await steps.run()).code).toBe(0)
  })
  it('gives commands no input to wait for', async () => {
    expect((await (await open('read x || exit 5')).run()).code).toBe(5)
  })
  it('fails the step when the sandbox dies under it', async () => {
    const steps = await open('kill -9 $PPID')
    await expect(steps.run()).rejects.toBeInstanceOf(SandboxGone)
    await expect(steps.run()).rejects.toBeInstanceOf(SandboxGone)
  })
})
