import { expect, test } from 'vitest'
import { type PinnedAddress, parseAddress } from './address'
import { parsePointer } from './lfs'
import { endpointOf } from './lfs-fetch'
import { submoduleAddress } from './submodules'

const pinned = (url: string): PinnedAddress => ({ ...parseAddress(url), ip: '192.0.2.1' })
const root = pinned('https://ada:secret@git.example/acme/shop.git')
const addressOf = (url: string, parent: PinnedAddress = root) => {
  const { url: address, credentials } = submoduleAddress(root, parent, url)
  return [address, credentials?.password ?? null]
}

test('a submodule is resolved as git resolves it, and gets the credentials of the repository at its own host alone', () => {
  expect(addressOf('../lib.git')).toEqual(['https://git.example/acme/lib.git', 'secret'])
  expect(addressOf('./lib.git')).toEqual(['https://git.example/acme/shop.git/lib.git', 'secret'])
  expect(addressOf('https://git.example/other/lib')).toEqual(['https://git.example/other/lib', 'secret'])
  expect(addressOf('https://git.example:8443/other/lib')).toEqual(['https://git.example:8443/other/lib', null])
  expect(addressOf('https://git.example.evil.example/lib')).toEqual(['https://git.example.evil.example/lib', null])
  expect(addressOf('../lib.git', pinned('https://elsewhere.example/acme/shop.git'))).toEqual(['https://elsewhere.example/acme/lib.git', null])
})

test('an ssh address of the host of the repository is asked over https with its credentials; of another host it stays', () => {
  expect(addressOf('git@git.example:acme/lib.git')).toEqual(['https://git.example/acme/lib.git', 'secret'])
  expect(addressOf('ssh://git@git.example:2222/acme/lib.git')).toEqual(['https://git.example/acme/lib.git', 'secret'])
  expect(addressOf('git@elsewhere.example:acme/lib.git')).toEqual(['ssh://git@elsewhere.example/acme/lib.git', null])
})

test('Git LFS is asked below the address of the repository, or where .lfsconfig says', () => {
  const at = (url: string, configuredUrl: string | null = null) => endpointOf({ address: parseAddress(url), configuredUrl }).href
  expect(at('https://git.example/acme/shop')).toBe('https://git.example/acme/shop.git/info/lfs')
  expect(at('https://git.example:8443/acme/shop.git')).toBe('https://git.example:8443/acme/shop.git/info/lfs')
  expect(at('git@git.example:acme/shop.git')).toBe('https://git.example/acme/shop.git/info/lfs')
  expect(at('https://git.example/acme/shop', 'https://lfs.example/acme')).toBe('https://lfs.example/acme')
  expect(() => at('https://git.example/acme/shop', 'file:///etc/passwd')).toThrow('over https')
})

test('a pointer is known by its whole content, and nothing else is taken for one', () => {
  const oid = 'a'.repeat(64)
  const text = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 12345\n`
  expect(parsePointer(text)).toEqual({ oid, sizeBytes: 12_345 })
  expect(parsePointer(text.trimEnd())).toEqual({ oid, sizeBytes: 12_345 })
  for (const other of [`${text}more`, `# ${text}`, text.replace('sha256', 'md5'), text.replace('12345', '-1'), ''])
    expect(parsePointer(other)).toBeNull()
})

test.each([
  ['a path of this machine', '/etc'],
  ['a helper that runs a command', 'ext::sh -c touch% /tmp/ran'],
  ['an option', '--upload-pack=touch /tmp/ran'],
  ['an option in the path', 'ssh://git.example/-oProxyCommand=touch'],
  ['an address above the host', '../../../x.git'],
  ['a line end', '../lib.git\n--upload-pack=x'],
])('%s is no address of a submodule', (_, url) => {
  expect(() => addressOf(url)).toThrow()
})
