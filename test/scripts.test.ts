import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const script = <T>(name: string) => import(pathToFileURL(path.join(root, 'scripts/support', name)).href) as Promise<T>

interface Counts {
  passed: number
  failed: number
  skipped: number
  failures: string[]
  files?: { name: string; seconds: number }[]
}
type Count = (file: string, outcome: { ok: boolean; late: boolean }) => Counts
const reports = await script<{
  vitestCounts: Count
  playwrightCounts: Count
  addCounts(all: Counts[]): Counts
  slowestFiles(results: ({ name: string } & Counts)[], count: number): { name: string; step: string; seconds: number }[]
}>('reports.mjs')
const leftovers = await script<{ watchProcesses(marker: string): { alive(): { pid: number; command: string }[]; close(): void } }>('leftovers.mjs')

const { roundsOf } = await script<{ roundsOf(files: string[]): Record<string, string[][]> }>('lanes.mjs')

const directory = mkdtempSync(path.join(tmpdir(), 'sy-scripts-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
function report(content: unknown): string {
  const file = path.join(directory, 'report.json')
  writeFileSync(file, JSON.stringify(content))
  return file
}
const well = { ok: true, late: false }

test('vitest: passed, failed and skipped tests are counted, and a file that does not load is a failure', () => {
  const file = report({
    testResults: [
      {
        name: path.join(root, 'a.test.ts'),
        startTime: 1000,
        endTime: 3500,
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'one' },
          { status: 'failed', fullName: 'two' },
          { status: 'pending', fullName: 'three' },
          { status: 'todo', fullName: 'four' },
        ],
      },
      { name: path.join(root, 'b.test.ts'), status: 'failed', message: 'cannot load\nmore', assertionResults: [] },
    ],
  })
  expect(reports.vitestCounts(file, { ok: false, late: false })).toEqual({
    passed: 1,
    failed: 2,
    skipped: 2,
    failures: ['a.test.ts › two', 'b.test.ts: cannot load'],
    files: [
      { name: 'a.test.ts', seconds: 2.5 },
      { name: 'b.test.ts', seconds: 0 },
    ],
  })
})

test('the slowest files of all steps are named, slowest first', () => {
  const counts = { passed: 1, failed: 0, skipped: 0, failures: [] }
  const unit = { name: 'unit', ...counts, files: [{ name: 'a.test.ts', seconds: 1 }] }
  const long = {
    name: 'long',
    ...counts,
    files: [
      { name: 'b.long.test.ts', seconds: 90 },
      { name: 'c.long.test.ts', seconds: 0.5 },
    ],
  }
  expect(reports.slowestFiles([unit, { name: 'lint', ...counts }, long], 2)).toEqual([
    { name: 'b.long.test.ts', step: 'long', seconds: 90 },
    { name: 'a.test.ts', step: 'unit', seconds: 1 },
  ])
})

test('every integration test runs once, and those that use the container engine run one after another', () => {
  const files = ['builder', 'cli', 'router', 'runtime', 'server', 'storage', 'test'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.int.test.ts'))
      .map((name) => path.join(folder, name)),
  )
  const rounds = roundsOf(files)
  expect(Object.values(rounds).flat(2).sort()).toEqual(files.sort())
  const usesEngine = (file: string) =>
    /DOCKER_HOST|dockerSocket|connectEngine|runtime: 'docker'|'docker'\]/.test(readFileSync(path.join(root, file), 'utf8'))
  // These name the engine to do without it.
  const without = ['builder/execute/disk.int.test.ts']
  const [engine = [], rest = []] = rounds.integration ?? []
  expect(rest.filter((file) => usesEngine(file) && !without.includes(file))).toEqual([])
  expect(engine.length).toBeGreaterThan(4)
})

test('what the lanes of a step counted is added up', () => {
  const one = { passed: 2, failed: 1, skipped: 0, failures: ['a'], files: [{ name: 'a.test.ts', seconds: 1 }] }
  expect(reports.addCounts([one, { passed: 1, failed: 0, skipped: 1, failures: [] }])).toEqual({ ...one, passed: 3, skipped: 1 })
})

test('Playwright: a flaky test is a failure', () => {
  const spec = (title: string, status: string) => ({ file: 'a.spec.ts', title, tests: [{ status }] })
  const file = report({
    suites: [{ specs: [spec('one', 'expected')], suites: [{ specs: [spec('two', 'flaky'), spec('three', 'unexpected'), spec('four', 'skipped')] }] }],
    errors: [],
  })
  const counts = reports.playwrightCounts(file, well)
  expect(counts).toMatchObject({ passed: 1, failed: 2, skipped: 1 })
})

test.each([
  ['nothing was executed', { testResults: [] }, well, /no test/],
  [
    'the run failed without a failing test',
    { testResults: [{ name: 'a', status: 'passed', assertionResults: [{ status: 'passed', fullName: 'x' }] }] },
    { ok: false, late: false },
    /error/,
  ],
  ['the run was cut short', { testResults: [] }, { ok: false, late: true }, /in time/],
])('a run is red when %s', (_, content, outcome, reason) => {
  const counts = reports.vitestCounts(report(content), outcome)
  expect(counts.failed).toBe(1)
  expect(counts.failures[0]).toMatch(reason)
})

test('a missing report is red', () => {
  expect(reports.vitestCounts(path.join(directory, 'none.json'), well).failed).toBe(1)
})

test('a process that left our tree and has another parent is found by its environment', async () => {
  const marker = `SWITCHYARD_TEST_MARK=${path.basename(directory)}`
  const watch = leftovers.watchProcesses(marker)
  const [name, value] = marker.split('=') as [string, string]
  // The shell ends at once; its child is adopted by init and ignores what its parent is told.
  const shell = spawn('setsid', ['sh', '-c', 'sleep 300 & echo $!'], {
    env: { PATH: process.env.PATH, [name]: value } as unknown as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const pid = await new Promise<number>((resolve) => shell.stdout.on('data', (chunk: Buffer) => resolve(Number(chunk))))
  try {
    // The shell prints the number before its child has run sleep, and an environment cannot be read in the middle of an exec.
    await expect.poll(() => watch.alive().map((entry) => entry.pid)).toContain(pid)
  } finally {
    process.kill(pid, 'SIGKILL')
    watch.close()
  }
  await expect.poll(() => watch.alive().map((entry) => entry.pid)).not.toContain(pid)
})
