import { describe, expect, test } from 'vitest'
import type { AppError } from '@/shared/errors'
import { isSameRepository, parseAddress, pinAddress, reachOf, splitAddress } from './address'

const problem = (work: () => unknown): AppError => {
  try {
    work()
  } catch (error) {
    return error as AppError
  }
  throw new Error('was accepted')
}

describe('addresses that are taken', () => {
  test.each([
    ['https://github.com/acme/shop.git', 'https', 'github.com', 443, 'https://github.com/acme/shop.git'],
    ['  https://GitHub.com:8443/acme/shop  ', 'https', 'github.com', 8443, 'https://github.com:8443/acme/shop'],
    ['git@github.com:acme/shop.git', 'ssh', 'github.com', 22, 'ssh://git@github.com/acme/shop.git'],
    ['github.com:acme/shop.git', 'ssh', 'github.com', 22, 'ssh://git@github.com/acme/shop.git'],
    ['ssh://deploy@git.example.com:2222/~ada/shop', 'ssh', 'git.example.com', 2222, 'ssh://deploy@git.example.com:2222/~ada/shop'],
    ['http://127.0.0.1:3000/a.git', 'http', '127.0.0.1', 3000, 'http://127.0.0.1:3000/a.git'],
    ['https://[2606:4700::1]/a.git', 'https', '2606:4700::1', 443, 'https://[2606:4700::1]/a.git'],
    ['https://0x7f.1/a', 'https', '127.0.0.1', 443, 'https://127.0.0.1/a'],
    ['https://example.com/a.git?x=1#frag', 'https', 'example.com', 443, 'https://example.com/a.git'],
  ])('%s', (text, scheme, host, port, url) => {
    expect(parseAddress(text)).toMatchObject({ scheme, host, port, url, credentials: null })
  })

  test('credentials leave the URL', () => {
    expect(parseAddress('https://ada:p%40ss@example.com/a.git')).toMatchObject({
      url: 'https://example.com/a.git',
      credentials: { username: 'ada', password: 'p@ss' },
    })
    expect(parseAddress('https://ada:p@ss@example.com/a.git')).toMatchObject({ url: 'https://example.com/a.git', credentials: { password: 'p@ss' } })
  })

  test('what is stored holds no credentials and is otherwise as it was typed', () => {
    expect(splitAddress('https://t0ken@example.com/a.git?tab=readme')).toEqual({
      url: 'https://example.com/a.git',
      credentials: { username: 't0ken', password: '' },
    })
    expect(splitAddress(' git@github.com:acme/shop.git ')).toEqual({ url: 'git@github.com:acme/shop.git', credentials: null })
    expect(splitAddress('ssh://git@github.com/acme/shop.git')).toEqual({ url: 'ssh://git@github.com/acme/shop.git', credentials: null })
  })

  test('credentials of a repository are of no use for another host, scheme, port or path', () => {
    expect(isSameRepository('https://git.example/a/shop', 'https://git.example/a/shop.git/')).toBe(true)
    for (const other of ['http://git.example/a/shop', 'https://git.example:8443/a/shop', 'https://git.example/b/shop', 'https://evil.example/a/shop'])
      expect(isSameRepository('https://git.example/a/shop', other)).toBe(false)
  })
})

describe('addresses that are refused, without being repeated', () => {
  test.each([
    '',
    '/srv/git/secret-repo',
    './secret-repo',
    '../secret-repo',
    'file:///etc/secret',
    'ext::sh -c touch% /tmp/secret',
    'ext::secret',
    'fd::17/secret',
    'ftp://example.com/secret.git',
    '--upload-pack=secret',
    '-oProxyCommand=secret',
    'ssh://-oProxyCommand=secret/a',
    'ssh://git@-oProxyCommand=secret/a',
    'git@-oProxyCommand=secret:a',
    '-git@example.com:secret',
    'git@example.com:-secret',
    'ssh://example.com/-secret',
    'https://example.com/%2dsecret',
    'https://exa mple.com/secret',
    'https://example.com/secret\nhttps://x',
    'https://example.com\\@127.0.0.1/secret',
    'https://example.com',
    'https://example.com/',
    'https://example.com:0/secret',
    'https://example.com:99999/secret',
    'https://[fe80::1%25eth0]/secret',
    'https://exam_ple..com/secret',
    'https://user:secret%zz@example.com/a',
    'git@exa$(mple).com:secret',
    "git@example.com';touch x;':secret",
    `https://example.com/secret${'a'.repeat(2100)}`,
    'https://',
    'ssh://ada:secret@example.com/a.git',
    'ada:secret@example.com:a.git',
    'https://example.com/a.git?private_token=secret',
    'https://example.com/a.git?ref=main&access_token=secret',
    'https://example.com/a.git#token=secret',
  ])('%j', (text) => {
    const error = problem(() => parseAddress(text))
    expect(error.code).toBe('ERR_SOURCE')
    expect(error.message + error.details.nextAction).not.toContain('secret')
  })
})

describe('where an IP leads', () => {
  test.each(['8.8.8.8', '2606:4700::1111', '64:ff9b::808:808', '2002:808:808::1'])('%s is public', (ip) => {
    expect(reachOf(ip)).toBe('public')
  })
  test.each([
    '127.0.0.1',
    '127.8.9.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '::1',
    'fd00::1',
    'fc00::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
  ])('%s is private', (ip) => {
    expect(reachOf(ip)).toBe('private')
  })
  test.each([
    '169.254.169.254',
    '169.254.0.1',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '100.100.100.200',
    '192.0.0.192',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
    '240.0.0.1',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::',
    '2001::1',
    'fec0::1',
    'nonsense',
    '',
  ])('%j is never reached', (ip) => {
    expect(reachOf(ip)).toBe('never')
  })
})

describe('pinning', () => {
  const pin = (url: string, ips: string[], allowPrivateNetwork = false) =>
    pinAddress(parseAddress(url), { allowPrivateNetwork, resolve: async () => ips })

  test('the address that was judged is the address that is used', async () => {
    expect(await pin('https://example.com/a', ['93.184.216.34', '2606:4700::1'])).toMatchObject({ host: 'example.com', ip: '93.184.216.34' })
  })
  test('one private address among public ones refuses all', async () => {
    await expect(pin('https://example.com/a', ['93.184.216.34', '127.0.0.1'])).rejects.toMatchObject({
      code: 'ERR_SOURCE',
      message: expect.stringContaining('private network'),
    })
  })
  test('private addresses need the operator; metadata services are never reached', async () => {
    await expect(pin('https://git.corp/a', ['10.0.0.5'])).rejects.toThrow('private network')
    expect((await pin('https://git.corp/a', ['10.0.0.5'], true)).ip).toBe('10.0.0.5')
    await expect(pin('https://git.corp/a', ['169.254.169.254'], true)).rejects.toThrow('never fetched from')
    await expect(pin('http://169.254.169.254/latest', [], true)).rejects.toThrow('never fetched from')
    await expect(pin('https://git.corp/a', ['10.0.0.5', 'fe80::1'], true)).rejects.toThrow('never fetched from')
  })
  test('unencrypted schemes only inside a private network that is allowed', async () => {
    await expect(pin('http://example.com/a', ['93.184.216.34'], true)).rejects.toThrow('not encrypted')
    await expect(pin('git://git.corp/a', ['10.0.0.5'])).rejects.toThrow('private network')
    expect((await pin('git://git.corp/a', ['10.0.0.5'], true)).url).toBe('git://10.0.0.5:9418/a')
    expect((await pin('http://localhost/a', ['127.0.0.1', '::1'], true)).ip).toBe('127.0.0.1')
  })
  test('a name without an address', async () => {
    await expect(pin('https://example.com/a', [])).rejects.toThrow('has no address')
    const resolve = () => Promise.reject(new Error('ENOTFOUND'))
    await expect(pinAddress(parseAddress('https://nowhere.example/a'), { allowPrivateNetwork: false, resolve })).rejects.toMatchObject({
      code: 'ERR_SOURCE',
      message: expect.stringContaining('was not found'),
    })
  })
  test('numbers and short forms are resolved as names, then judged by where they lead', async () => {
    await expect(pinAddress(parseAddress('ssh://2130706433/a'), { allowPrivateNetwork: false })).rejects.toThrow('private network')
    await expect(pinAddress(parseAddress('git@127.1:a'), { allowPrivateNetwork: false })).rejects.toThrow('private network')
  })
})
