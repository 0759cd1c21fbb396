import { Writable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import { printResult } from './context'
import { Progress } from './terminal'

const evil = 'CAA allows \u001b]0;owned\u0007\u001b[2J\u009b31mevil.example\r only'
const clean = 'CAA allows 0;owned31mevil.example only'

afterEach(() => void vi.restoreAllMocks())

test('what others wrote reaches the terminal without control sequences, in results and in messages; colours stay', () => {
  let out = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text)
    return true
  })
  printResult(`\u001b[31m${evil}\u001b[39m\n\tx`)
  let messages = ''
  const sink = new Writable({
    write(chunk, _encoding, done) {
      messages += String(chunk)
      done()
    },
  })
  new Progress(sink as unknown as NodeJS.WriteStream).failure({ code: 'ERR_UNAVAILABLE', message: evil, nextAction: evil })
  expect(out).toBe(`\u001b[31m${clean}\u001b[39m\n\tx\n`)
  for (const control of ['\u0007', '\u009b', '\r', '\u001b[2J']) expect(messages).not.toContain(control)
  expect(messages).toContain(clean)
})
