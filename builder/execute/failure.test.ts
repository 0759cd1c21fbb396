import { describe, expect, it } from 'vitest'
import { commandFailure, type FailedCommand } from './failure'
import { FailureReason } from './reason'

function reasonIn(lines: readonly string[]): FailureReason {
  const reason = new FailureReason()
  for (const line of lines) reason.look(line)
  return reason
}

const failed = (overrides: Partial<FailedCommand>): FailedCommand => ({
  command: { step: 'build', command: 'npm run build', cacheDirectories: [], cacheKeyFiles: [] },
  code: 1,
  outOfMemory: false,
  forksRefused: false,
  lastLines: [],
  reason: reasonIn(overrides.lastLines ?? []),
  limits: { memoryBytes: 2 * 1024 ** 3, cpus: 1, pids: 512, timeoutMs: 1000 },
  ...overrides,
})

describe('why a command failed', () => {
  it.each([
    ['the kernel killed it for memory', { outOfMemory: true, code: 137 }, 'ERR_BUILD_LIMIT', /out of memory: builds have 2 GiB/],
    ['Node ran into its own heap limit', { lastLines: ['FATAL ERROR: Reached heap limit Allocation failed'] }, 'ERR_BUILD_LIMIT', /out of memory/],
    ['no process could be started', { lastLines: ['sh: 1: Cannot fork'] }, 'ERR_BUILD_LIMIT', /more processes than a build may have \(512\)/],
    ['it ended with a code', { code: 3, lastLines: ['a', 'b'] }, 'ERR_BUILD', /exit code 3\.\nIt said last:\n {2}a\n {2}b/],
    ['it was killed', { code: null }, 'ERR_BUILD', /was killed/],
  ] as const)('%s', (_, facts, code, message) => {
    const error = commandFailure(failed({ ...facts, lastLines: 'lastLines' in facts ? [...facts.lastLines] : [] }))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
    expect(error.details.nextAction).toMatch(/\.$/)
  })
  it('says what to do about a missing compiler, a missing command, an old lock file', () => {
    expect(commandFailure(failed({ lastLines: ['gyp ERR! find Python'] })).details.nextAction).toMatch(/compiler/)
    expect(commandFailure(failed({ code: 127 })).details.nextAction).toMatch(/does not exist/)
    expect(commandFailure(failed({ lastLines: ['npm error Missing: is-odd@3.0.1 from lock file'] })).details.nextAction).toMatch(/lock file/)
  })
})
