import { expect, it } from 'vitest'
import { deniedWrite } from './log-collector'

it('knows a write that a read-only release refused from other refusals', () => {
  for (const line of [
    "Error: EROFS: read-only file system, open '/app/data.json'",
    "Error: EACCES: permission denied, mkdir '/app/.next/cache'",
    'sh: 1: cannot create x: Read-only file system',
  ])
    expect([line, deniedWrite.test(line)]).toEqual([line, true])
  for (const line of ['Error: listen EACCES: permission denied 0.0.0.0:80', 'connect EACCES 10.0.0.1:80', 'MACACCESS granted'])
    expect([line, deniedWrite.test(line)]).toEqual([line, false])
})
