import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url)
/** Files that a reader creates while following an example. */
const examples = ['server/deployments/count.ts', 'server/deployments/count.int.test.ts']
const documents = ['CONTRIBUTING.md', 'AGENTS.md', 'docs/ARCHITECTURE.md', 'docs/contributing/endpoint.md', 'docs/contributing/rule.md']

test.each(documents)('every file and folder of the repository that %s names is there', (document) => {
  const text = readFileSync(new URL(document, root), 'utf8')
  const named = [
    ...text.matchAll(/`((?:app|server|builder|runtime|router|storage|cli|shared|prisma|test|scripts|docs|examples|e2e|bench)\/[\w./[\]-]*)`/g),
  ]
  const missing = named.map(([, path]) => path as string).filter((path) => !examples.includes(path) && !existsSync(new URL(path, root)))
  expect(missing).toEqual([])
})
