import { expect, it } from 'vitest'
import { FirstError, quoteOutput } from './first-error'

const quoted = (output: string): string[] => {
  const lines = output.split('\n')
  const error = new FirstError()
  for (const line of lines) error.look(line)
  return quoteOutput(error.lines(), lines, 5)
}

it('of a crash of Node the error and the frame of the app are quoted, no frame of Node or of a package', () => {
  const message = quoted(`Listening soon
/app/server.js:3
throw new Error('DATABASE_URL is not set')
^

Error: DATABASE_URL is not set
    at Object.query (/app/node_modules/pg/lib/client.js:10:3)
    at Object.<anonymous> (/app/server.js:3:7)
    at Module._compile (node:internal/modules/cjs/loader:1730:14)
    at node:internal/main/run_main_module:36:49

Node.js v24.1.0`).join('\n')
  expect(message).toMatch(/^Its first error:\n {2}Error: DATABASE_URL is not set\n {6}at Object.<anonymous> \(\/app\/server\.js:3:7\)/)
  expect(message).not.toMatch(/node:internal|node_modules|Node\.js v/)
})

it('of a module that is missing its name is quoted, not the loader that did not find it', () => {
  const message = quoted(`node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module './routes'
Require stack:
- /app/server.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)
    at node:internal/main/run_main_module:36:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/app/server.js' ]
}

Node.js v24.1.0`).join('\n')
  expect(message).toMatch(/Error: Cannot find module '\.\/routes'\n {2}Require stack:\n {2}- \/app\/server\.js/)
  expect(message).not.toMatch(/node:internal|throw err/)
})

it('output without an error is quoted by its last lines, once', () => {
  expect(quoted('one\ntwo')).toEqual(['It said last:', '  one', '  two'])
  expect(quoted('')).toEqual([])
})
