// Every static check: node scripts/lint.mjs
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { main, nodeBinary, root, run } from './support/run.mjs'

const bin = (...parts) => path.join(root, 'node_modules', ...parts)

/** Format, lint, room boundaries and import cycles are Biome's (biome.json; test/lint-rules.test.ts proves they bite); dead code and unused dependencies are knip's. */
export const lintChecks = [
  {
    name: 'format, lint, room boundaries, import cycles',
    argv: () => [nodeBinary(), bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '--max-diagnostics=100', '.'],
  },
  { name: 'dead code, unused dependencies', argv: () => [nodeBinary(), bin('knip/bin/knip.js'), '--no-progress'] },
]

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main(async () => {
    let failed = 0
    for (const { name, argv } of lintChecks) {
      console.log(`— ${name}`)
      if (!(await run(argv(), { deadlineMs: 5 * 60_000 })).ok) failed += 1
    }
    process.exitCode = failed > 0 ? 1 : 0
  })
