import { afterEach, describe, expect, it } from 'vitest'
import { killGroup, start } from '@/shared/node/exec'
import { SandboxGone, StepChannel, stepScript } from './steps'

const pids: number[] = []
afterEach(() => {
  for (const pid of pids.splice(0)) killGroup(pid, 'SIGKILL')
})

function open(...commands: string[]) {
  const script = stepScript({ directory: '/tmp', memoryEvents: [], pidsEvents: ['/nowhere'], commands })
  const child = start(script.argv, { detached: true, stdio: 'pipe' })
  if (child.pid) pids.push(child.pid)
  if (!child.stdin) throw new Error('no pipe')
  const channel = new StepChannel(child.stdin, script.marker)
  child.stdout?.on('data', (chunk: Buffer) => channel.feed('stdout', chunk))
  child.stderr?.on('data', (chunk: Buffer) => channel.feed('stderr', chunk))
  child.on('exit', (code) => channel.closed(code))
  const lines: string[] = []
  return { channel, lines, child, run: () => channel.run((stream, text) => lines.push(`${stream}: ${text}`)) }
}

describe('the step script', () => {
  it('runs one command after another, each only when told, with all of its output before its end', async () => {
    const steps = open('echo one; echo warned >&2; printf "no line end"', 'echo two')
    expect(await steps.run()).toEqual({ code: 0, oomKills: 0, forksRefused: 0 })
    expect(steps.lines.sort()).toEqual(['stderr: warned', 'stdout: no line end', 'stdout: one'])
    steps.lines.length = 0
    expect((await steps.run()).code).toBe(0)
    expect(steps.lines).toEqual(['stdout: two'])
  })
  it('keeps empty lines of the command but not its own', async () => {
    const steps = open('echo; echo x; echo')
    await steps.run()
    expect(steps.lines).toEqual(['stdout: ', 'stdout: x', 'stdout: '])
  })
  it('leaves a skipped command out', async () => {
    const steps = open('exit 3', 'echo second')
    steps.channel.skip()
    expect((await steps.run()).code).toBe(0)
    expect(steps.lines).toEqual(['stdout: second'])
  })
  it('reports the code of a command that fails', async () => {
    expect((await open('exit 42').run()).code).toBe(42)
  })
  it('gives commands no input to wait for', async () => {
    expect((await open('read x || exit 5').run()).code).toBe(5)
  })
  it('fails the step when the sandbox dies under it', async () => {
    const steps = open('kill -9 $PPID')
    await expect(steps.run()).rejects.toBeInstanceOf(SandboxGone)
    await expect(steps.run()).rejects.toBeInstanceOf(SandboxGone)
  })
})
