import { expect, it } from 'vitest'
import { confine } from './confined'
import { exec } from './exec'

const user = process.getuid?.() === 0 ? { uid: 20_000, gid: 20_000 } : null

it('hands the variables of a command to its own program alone, whatever they hold', async () => {
  const value = 'a  "b" \'c\' $HOME `id` \\n # {PATH}\nsecond line 日本'
  const env = { PATH: '/usr/bin:/bin', LD_PRELOAD: '/nonexistent/preloaded.so', EMPTY: '', VALUE: value }
  const command = confine({ argv: ['/bin/cat', '/proc/self/environ'], cwd: '/usr', env, gated: true }, { user, rlimits: ['--core=0:0'] })
  expect(command.argv.join('\0')).not.toContain('preloaded')
  expect(Object.keys(command.env).filter((name) => name.startsWith('LD_') || name === 'VALUE')).toEqual([])
  const { stdout, stderr, code } = await exec(command.argv, { env: command.env, deadlineMs: 10_000, input: 'go\n' })
  expect(code).toBe(0)
  expect(stdout.split('\0').filter(Boolean).sort()).toEqual(
    Object.entries(env)
      .map(([name, text]) => `${name}=${text}`)
      .sort(),
  )
  // the loader complains once in each process that reads LD_PRELOAD: the program, and none of those that confined it
  expect(stderr.match(/preloaded\.so/g)).toHaveLength(1)
})

it('does not begin without its word, and refuses names that a shell could read otherwise', async () => {
  const { argv, env } = confine({ argv: ['/bin/echo', 'began'], cwd: '/', env: {}, gated: true }, { user })
  expect(await exec(argv, { env, deadlineMs: 10_000, input: '' })).toMatchObject({ code: 70, stdout: '' })
  expect(() => confine({ argv: ['/bin/true'], cwd: '/', env: { 'A B': '' }, gated: false }, { user })).toThrow(/not a usable name/)
})
