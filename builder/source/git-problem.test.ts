import { expect, test } from 'vitest'
import { parseAddress } from './address'
import { explainGit, scrub } from './git-problem'

test.each([
  ['https://ada:s3cr3t@git.example/a.git', "fatal: unable to access 'https://ada:s3cr3t@git.example/a.git/'"],
  ['https://ada:pa@ss-w0rd@git.example/a.git', "fatal: unable to access 'https://ada:pa@ss-w0rd@git.example/a.git/'"],
  ['https://git.example/a.git', "fatal: unable to access 'https://bob:other@pa@ss-w0rd@git.example/a.git/'"],
])('nothing that is said about %s shows a part of a password', (address, said) => {
  const parsed = parseAddress(address)
  const { message, cause } = explainGit(said, parsed)
  for (const text of [scrub(said, parsed), message, String(cause)]) {
    expect(text).toContain('https://git.example/a.git')
    expect(text).not.toMatch(/s3cr3t|ss-w0rd|other/)
  }
})
