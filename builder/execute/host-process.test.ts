import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { start } from '@/shared/node/exec'
import { killHostBuild, processStartTime } from './host-process'

it('kills what left the session of its build, found by its mark alone', async () => {
  const value = `test-${process.pid}-${performance.now()}`
  const child = start(['sh', '-c', 'setsid sleep 4716 & echo $!; exec setsid sleep 4716'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, MARK: value } as unknown as NodeJS.ProcessEnv,
  })
  const [output] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const stray = Number(output.toString())
  const pid = child.pid ?? 0
  const ended = once(child, 'exit')
  await killHostBuild({ pid, startTime: (await processStartTime(pid)) ?? '', uid: null, groups: [], mark: `MARK=${value}` })
  await ended
  await expect
    .poll(() =>
      readFile(`/proc/${stray}/stat`, 'utf8').then(
        (text) => text.split(' ')[2],
        () => 'gone',
      ),
    )
    .toMatch(/gone|Z/)
})

it('kills nobody who was given the pid of a build that ended long ago', async () => {
  const child = start(['sleep', '4717'], { detached: true, stdio: 'ignore' })
  await killHostBuild({ pid: child.pid ?? 0, startTime: '1', uid: null, groups: [], mark: 'MARK=nobody-has-this' })
  expect(child.exitCode ?? child.signalCode).toBeNull()
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
})
