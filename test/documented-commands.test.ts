import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const { commands, commandsIn, documents } = (await import(pathToFileURL(path.join(root, 'scripts/documented-commands.mjs')).href)) as {
  commands: Record<string, { documented: RegExp }>
  commandsIn(text: string): string[]
  documents(): string[]
}

it('every command that the documents name is run on a bare machine by scripts/documented-commands.mjs', () => {
  const named = documents().flatMap((file) => commandsIn(readFileSync(path.join(root, file), 'utf8')).map((command) => ({ file, command })))
  expect(named.length).toBeGreaterThan(15)
  const unlisted = named.filter(({ command }) => !Object.values(commands).some(({ documented }) => documented.test(`${command}\``)))
  expect(unlisted).toEqual([])
})

it('commands are found in code blocks and code spans, with their comments and settings', () => {
  const text = 'Run `PORT=4000 npm run up`, or `x`:\n```sh\nnpm test   # everything\nls\n```\n\n    npx tsx bench/a.ts\n'
  expect(commandsIn(text)).toEqual(['PORT=4000 npm run up', 'npm test', 'npx tsx bench/a.ts'])
})
