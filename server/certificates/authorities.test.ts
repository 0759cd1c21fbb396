import { expect, test } from 'vitest'
import { readServerEnv } from '../env'
import { letsEncrypt } from './authorities'

const read = (variables: Record<string, string>) => readServerEnv(variables).acme
const ca = 'https://ca.example/dir'
const other = 'https://other.example/dir'

test('without a word it is Let’s Encrypt, rehearsed at its staging', () => {
  expect(read({})).toEqual({
    production: [{ directory: letsEncrypt.production, binding: null }],
    staging: { directory: letsEncrypt.staging, binding: null },
    email: null,
    caFile: null,
  })
})

test('another CA has no staging unless one is named, and off means off', () => {
  expect(read({ ACME_DIRECTORY: ca }).staging).toBeNull()
  expect(read({ ACME_DIRECTORY: ca, ACME_STAGING_DIRECTORY: other }).staging).toEqual({ directory: other, binding: null })
  expect(read({ ACME_STAGING_DIRECTORY: 'off' }).staging).toBeNull()
  expect(read({ ACME_DIRECTORY: ca, ACME_STAGING_DIRECTORY: ca }).staging).toBeNull()
  expect(read({ ACME_DIRECTORY: 'off', ACME_STAGING_DIRECTORY: other })).toMatchObject({ production: [], staging: null })
})

test('a second CA comes second, each with its own binding', () => {
  const env = { ACME_DIRECTORY: ca, ACME_EAB_KEY_ID: 'a', ACME_EAB_HMAC_KEY: 'QQ', ACME_FALLBACK_DIRECTORY: other }
  expect(read({ ...env, ACME_FALLBACK_EAB_KEY_ID: 'b', ACME_FALLBACK_EAB_HMAC_KEY: 'Qg' }).production).toEqual([
    { directory: ca, binding: { keyId: 'a', hmacKey: 'QQ' } },
    { directory: other, binding: { keyId: 'b', hmacKey: 'Qg' } },
  ])
  expect(read({ ACME_DIRECTORY: ca, ACME_FALLBACK_DIRECTORY: ca }).production).toHaveLength(1)
})

test('half a binding, an unencrypted directory and a relative file are refused by name', () => {
  const refused = (variables: Record<string, string>, name: string) => expect(() => read(variables)).toThrow(name)
  refused({ ACME_EAB_KEY_ID: 'a' }, 'ACME_EAB_KEY_ID')
  refused({ ACME_FALLBACK_EAB_HMAC_KEY: 'QQ' }, 'ACME_FALLBACK_EAB_KEY_ID')
  refused({ ACME_FALLBACK_EAB_KEY_ID: 'a', ACME_FALLBACK_EAB_HMAC_KEY: 'QQ' }, 'needs ACME_FALLBACK_DIRECTORY')
  refused({ ACME_DIRECTORY: 'http://ca.example/dir' }, 'ACME_DIRECTORY')
  refused({ ACME_CA_FILE: 'ca.pem' }, 'ACME_CA_FILE')
})
