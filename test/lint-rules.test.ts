import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const rooms = ['app', 'server', 'builder', 'runtime', 'router', 'storage', 'shared', 'cli'] as const
type Room = (typeof rooms)[number]
/** The arrows of docs/ARCHITECTURE.md. */
const knows: Record<Room, readonly Room[]> = {
  app: ['shared'],
  server: ['builder', 'runtime', 'storage', 'shared'],
  builder: ['storage', 'shared'],
  runtime: ['storage', 'shared'],
  router: ['shared'],
  storage: ['shared'],
  shared: [],
  cli: ['shared'],
}

interface Snippet {
  file: string
  source: string
  /** Rule that must refuse it; undefined: it must pass. */
  rule?: string
}

const restricted = 'lint/style/noRestrictedImports'
const snippets: Snippet[] = []
const use = (specifier: string) => `import { thing } from '${specifier}'\nconsole.info(thing)\n`
const add = (file: string, source: string, rule?: string) => snippets.push(rule ? { file, source, rule } : { file, source })

for (const from of rooms)
  for (const to of rooms.filter((room) => room !== from)) {
    const rule = knows[from].includes(to) ? undefined : restricted
    add(`${from}/${to}-by-alias.ts`, use(`@/${to}/part`), rule)
    add(`${from}/deep/er/${to}-by-path.ts`, use(`../../../${to}/part`), rule)
  }
for (const room of ['app', 'cli']) {
  add(`${room}/api-door.ts`, use('@/server/api/router'))
  add(`${room}/deep/api-door.ts`, use('../../server/api/router'))
}
for (const specifier of ['@/shared/node/exec', '../../shared/node/exec']) {
  add(`app/deep/node-only-${snippets.length}.ts`, use(specifier), restricted)
  add(`server/deep/node-only-${snippets.length}.ts`, use(specifier))
}
add('shared/uses-node.ts', use('node:fs'), restricted)
add('shared/uses-own-node.ts', use('./node/exec'), restricted)
add('shared/node/uses-node.ts', use('node:fs'))
for (const room of rooms) {
  add(`${room}/dockerode.ts`, use('dockerode'), ['runtime', 'builder'].includes(room) ? undefined : restricted)
  add(`${room}/spawn.ts`, "import { spawn } from 'node:child_process'\nspawn('true')\n", restricted)
  add(`${room}/spawn-all.ts`, "import * as processes from 'node:child_process'\nprocesses.spawn('true')\n", restricted)
  if (room !== 'shared')
    add(`${room}/child.ts`, "import type { ChildProcess } from 'node:child_process'\nexport const pid = (child: ChildProcess) => child.pid\n")
  if (room !== 'server') add(`${room}/pg.ts`, use('pg'), restricted)
  add(`${room}/settings.ts`, 'export const port = process.env.PORT\n', 'lint/style/noProcessEnv')
}
for (const file of ['server/env.ts', 'router/env.ts', 'cli/env.ts', 'scripts/x.ts', 'test/x.ts', 'e2e/x.ts', 'bench/x.ts', 'some.config.ts'])
  add(file, 'export const port = process.env.PORT\n')
for (const folder of ['scripts', 'test', 'e2e', 'bench']) add(`${folder}/spawn.ts`, use('node:child_process'))
add('server/cycle/one.ts', "import { two } from './two'\nexport const one = () => two()\n", 'lint/suspicious/noImportCycles')
add('server/type-cycle/one.ts', "import type { Two } from './two'\nexport type One = { two: Two }\n", 'lint/suspicious/noImportCycles')
add('server/type-cycle/two.ts', "import type { One } from './one'\nexport type Two = { one: One | null }\n", 'lint/suspicious/noImportCycles')
add('server/cycle/two.ts', "import { one } from './one'\nexport const two = (): unknown => one()\n", 'lint/suspicious/noImportCycles')

const tree = mkdtempSync(path.join(tmpdir(), 'switchyard-lint-'))
let found: { category: string; file: string }[] = []
let checkedFiles = 0

beforeAll(async () => {
  cpSync(path.join(root, 'biome.json'), path.join(tree, 'biome.json'))
  writeFileSync(path.join(tree, '.gitignore'), 'node_modules\n')
  for (const { file, source } of snippets) {
    mkdirSync(path.join(tree, path.dirname(file)), { recursive: true })
    writeFileSync(path.join(tree, file), source)
  }
  const report = await biome()
  checkedFiles = report.summary.unchanged + report.summary.changed
  found = report.diagnostics.map(({ category, location }) => ({ category, file: path.relative(tree, path.resolve(tree, locationPath(location))) }))
}, 60_000)
afterAll(() => rmSync(tree, { recursive: true, force: true }))

interface Report {
  summary: { unchanged: number; changed: number }
  diagnostics: { category: string; location: { path: string | { file: string } } }[]
}
const locationPath = ({ path: at }: Report['diagnostics'][number]['location']) => (typeof at === 'string' ? at : at.file)

function biome(): Promise<Report> {
  const args = [path.join(root, 'node_modules/@biomejs/biome/bin/biome'), 'lint', '--reporter=json', '--max-diagnostics=none', '.']
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: tree, timeout: 50_000, maxBuffer: 64 * 1024 * 1024 }, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Report)
      } catch (cause) {
        reject(new Error(`biome printed no report: ${stderr}`, { cause }))
      }
    })
  })
}

test('the linter reads every file it is given', () => {
  expect(checkedFiles).toBe(snippets.length + 1)
})

test.each(snippets.filter((snippet) => snippet.rule))('$file is refused by $rule', ({ file, rule }) => {
  expect(found.filter((diagnostic) => diagnostic.file === file).map((diagnostic) => diagnostic.category)).toContain(rule)
})

test.each(snippets.filter((snippet) => !snippet.rule))('$file may import what its room knows', ({ file }) => {
  expect(found.filter((diagnostic) => diagnostic.file === file)).toEqual([])
})
