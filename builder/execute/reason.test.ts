import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { commandFailure } from './failure'
import { BuildLog, LineSplitter } from './log'

const recordings = path.join(import.meta.dirname, '../../test/fixtures/tool-output')

/** The error of a command that printed this recording. */
function failureOf(name: string) {
  const log = new BuildLog(() => {}, {})
  const splitter = new LineSplitter((line) => log.line('build', 'stdout', line))
  splitter.push(readFileSync(path.join(recordings, `${name}.txt`)))
  splitter.end()
  return commandFailure({
    command: { step: 'build', command: 'the command', cacheDirectories: [], cacheKeyFiles: [] },
    code: 1,
    outOfMemory: false,
    forksRefused: false,
    lastLines: log.lastLines(),
    reason: log.reason(),
    limits: { memoryBytes: 2 * 1024 ** 3, cpus: 1, pids: 512, timeoutMs: 1000 },
  })
}

const managers = ['npm10', 'npm11', 'pnpm9', 'pnpm10', 'yarn1', 'yarn4', 'bun']
const of = (tools: string[], scenario: string, says: RegExp, advice: RegExp) => tools.map((tool) => [`${tool}-${scenario}`, says, advice] as const)

describe('the reason of a failure, in recorded output of the tools', () => {
  it.each([
    ...of(['npm10', 'npm11', 'pnpm10', 'pnpm9', 'yarn4'], 'lock-out-of-step', /is-number/, /lock file does not fit package\.json/),
    ...of(['yarn1', 'bun'], 'lock-out-of-step', /lockfile/, /lock file does not fit package\.json/),
    ...of(managers, 'unknown-package', /switchyard-no-such-package-4711/, /not in the registry/),
    ...of(managers, 'unknown-version', /ms.*\^97\.0\.0/, /No published version/),
    ...of(['npm10', 'npm11', 'pnpm9', 'pnpm10', 'yarn1', 'bun'], 'unauthorized', /registry\.example\.com/, /wants other credentials/),
    ...of(['npm10', 'npm11'], 'peer-conflict', /unable to resolve dependency tree/, /different versions of a third/),
    ...of(
      managers.filter((tool) => tool !== 'yarn4'),
      'build-failed',
      /Error: the real reason/,
      /Read the log/,
    ),
    ['yarn4-build-failed', /doesn't seem to be present in your lockfile/, /Read the log/],
    ['tsc-type-error', /src\.ts\(1,14\): error TS2322/, /imports is not there|Correct the types/],
    ['vite-unresolved-import', /Could not resolve "\.\/views\/missing\.js" from "main\.js"/, /imports is not there/],
    ['vite-syntax-error', /main\.js \(2:7\): Unexpected token `default`/, /Read the log/],
    ['next-type-error', /\.\/app\/page\.tsx:1:7[\s\S]*Type error: Type 'string' is not assignable/, /Correct the types/],
    ['next-missing-module', /Module not found: Can't resolve '\.\.\/components\/card'/, /imports is not there/],
    ['next-prerender-error', /the database is not there/, /Read the log/],
  ] as const)('%s', (name, says, advice) => {
    const error = failureOf(name)
    expect(error.message).toMatch(says)
    expect(error.details.nextAction).toMatch(advice)
    // Nothing around the error is quoted in its place.
    expect(error.message).not.toMatch(/node:internal|A complete log|ELIFECYCLE/)
    expect(error.message).not.toContain('\u001b')
    expect(error.message.split('\n').length).toBeLessThan(16)
  })

  it('finds the reason however much was printed after it', () => {
    const log = new BuildLog(() => {}, {})
    for (const line of ['npm error code EUSAGE', 'npm error Missing: is-odd@3.0.1 from lock file']) log.line('install', 'stderr', line)
    for (let i = 0; i < 5000; i++) log.line('install', 'stdout', `more ${i}`)
    expect(log.reason().advice()).toMatch(/lock file/)
    expect(log.reason().firstError()[0]).toContain('is-odd@3.0.1')
  })
})
