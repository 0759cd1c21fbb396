import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openTree } from '../tree-files'
import { findRuleFiles, parseRuleFiles } from './read'
import { type RuleFile, warningText } from './rule-file'

const read = (kind: RuleFile['kind'], text: string | object) =>
  parseRuleFiles([{ kind, name: kind, text: typeof text === 'string' ? text : JSON.stringify(text, null, 2) }])

test('vercel.json: every kind of rule', () => {
  const { policy, warnings } = read('vercel.json', {
    $schema: 'https://openapi.vercel.sh/vercel.json',
    cleanUrls: true,
    trailingSlash: false,
    redirects: [
      { source: '/me', destination: '/profile.html' },
      { source: '/temporary', destination: '/t', permanent: false },
      { source: '/permanent', destination: '/p', permanent: true },
      { source: '/see', destination: '/other', statusCode: 303 },
      {
        source: '/:path((?!uk/).*)',
        has: [{ type: 'header', key: 'x-vercel-ip-country', value: 'GB' }],
        destination: '/uk/:path*',
        permanent: false,
      },
    ],
    rewrites: [{ source: '/blog/:slug*', destination: 'https://blog.example.com/:slug*', missing: [{ type: 'cookie', key: 'draft' }] }],
    headers: [{ source: '/service-worker.js', headers: [{ key: 'Cache-Control', value: 'public, max-age=0' }] }],
    functions: {},
  })
  expect(warnings).toEqual([])
  expect(policy).toEqual({
    cleanUrls: true,
    trailingSlash: false,
    redirects: [
      { source: '/me', destination: '/profile.html', status: 308 },
      { source: '/temporary', destination: '/t', status: 307 },
      { source: '/permanent', destination: '/p', status: 308 },
      { source: '/see', destination: '/other', status: 303 },
      { source: '/:path((?!uk/).*)', destination: '/uk/:path*', status: 307, has: [{ type: 'header', key: 'x-vercel-ip-country', value: 'GB' }] },
    ],
    rewrites: [{ source: '/blog/:slug*', destination: 'https://blog.example.com/:slug*', missing: [{ type: 'cookie', key: 'draft' }] }],
    headers: [{ source: '/service-worker.js', headers: [{ key: 'Cache-Control', value: 'public, max-age=0' }] }],
  })
})

test('conditions in words and rewrites before files', () => {
  const { policy, warnings } = read('vercel.json', {
    rewrites: {
      beforeFiles: [{ source: '/a', destination: '/b', has: [{ type: 'host', value: { pre: 'app.', neq: 'app.x' } }] }],
      fallback: [{ source: '/(.*)', destination: '/index.html' }],
    },
  })
  expect(warnings).toEqual([])
  expect(policy.rewrites?.map((rule) => rule.beforeFiles ?? false)).toEqual([true, false])
  const value = policy.rewrites?.[0]?.has?.[0]?.value ?? ''
  expect(new RegExp(`^(?:${value})$`).test('app.y')).toBe(true)
  expect(new RegExp(`^(?:${value})$`).test('app.x')).toBe(false)
  expect(new RegExp(`^(?:${value})$`).test('x.app.y')).toBe(false)
})

test('switchyard.json says more, but no secrets', () => {
  const { policy, warnings } = read('switchyard.json', {
    buildCommand: 'npm run build',
    sticky: true,
    errorPages: { '404': '/404.html', '5xx': '/sorry' },
    rateLimits: [{ source: '/api/(.*)', requests: 10, windowSeconds: 1 }],
    maxBodyBytes: 'lots',
    protection: { kind: 'basic' },
  })
  expect(policy).toEqual({
    sticky: true,
    errorPages: { '404': '/404.html', '5xx': '/sorry' },
    rateLimits: [{ source: '/api/(.*)', requests: 10, windowSeconds: 1 }],
  })
  expect(warnings.map(warningText)).toEqual([
    expect.stringMatching(/^switchyard\.json:\d+: "maxBodyBytes" is not understood/),
    expect.stringMatching(/^switchyard\.json:\d+: "protection" is set in the dashboard/),
  ])
})

test('a wrong rule is left out and named with its line; the others hold', () => {
  const text = `{
  "redirects": [
    { "source": "/ok", "destination": "/fine" },
    { "source": "/(", "destination": "/never" },
    { "source": "/no-destination" },
    { "source": "/ok2", "destination": "javascript:alert(1)" }
  ],
  "headers": [
    { "source": "/", "headers": [{ "key": "Transfer-Encoding", "value": "chunked" }] }
  ],
  "routes": []
}`
  const { policy, warnings } = read('vercel.json', text)
  expect(policy).toEqual({ redirects: [{ source: '/ok', destination: '/fine', status: 308 }] })
  expect(warnings.map(({ line }) => line).sort()).toEqual([11, 4, 5, 6, 9].sort())
  expect(read('vercel.json', '{ nonsense').warnings.map(warningText)).toEqual([expect.stringMatching(/^vercel\.json: this is not JSON/)])
  for (const odd of ['[]', 'null', '"text"', '{"redirects": 1}', '{"redirects": [1, null, []]}', '{"headers":[{"source":"/","headers":"x"}]}'])
    expect(read('vercel.json', odd)).toMatchObject({
      policy: {},
      warnings: [expect.anything(), ...(odd.includes('null, []') ? [expect.anything(), expect.anything()] : [])],
    })
})

test('_redirects: the forms Netlify documents', () => {
  const { policy, warnings } = read(
    '_redirects',
    [
      '# comment',
      '/home              /',
      '/blog/my-post.php  /blog/my-post  302   # moved',
      '/news/*            /blog/:splat',
      '/old/:year/:slug   /new/:slug/:year 301!',
      '/store id=:id      /blog/:id  301',
      '/search q=a+b type=x /s 302',
      'http://blog.example.com/* https://www.example.com/blog/:splat 301!',
      '/api/*             https://api.example.com/v1/:splat 200',
      '/*                 /index.html   200',
      '/*                 /404.html     404',
      '',
      '/                  /china   302  Country=cn,hk',
      '/a                 /b  410',
      'nonsense',
      '/x                 /y 302 Cookie=beta',
    ].join('\n'),
  )
  expect(policy.redirects).toEqual([
    { source: '/home{/}?', destination: '/', status: 301, afterFiles: true },
    { source: '/blog/my-post.php{/}?', destination: '/blog/my-post', status: 302, afterFiles: true },
    { source: '/news{/(.*)}?', destination: '/blog/$1', status: 301, afterFiles: true },
    { source: '/old/:year/:slug{/}?', destination: '/new/:slug/:year', status: 301 },
    { source: '/store{/}?', destination: '/blog/:id', status: 301, afterFiles: true, has: [{ type: 'query', key: 'id', value: '(?<id>.*)' }] },
    {
      source: '/search{/}?',
      destination: '/s',
      status: 302,
      afterFiles: true,
      has: [
        { type: 'query', key: 'q', value: 'a\\+b' },
        { type: 'query', key: 'type', value: 'x' },
      ],
    },
    { source: '/(.*)', destination: 'https://www.example.com/blog/$1', status: 301, has: [{ type: 'host', value: 'blog\\.example\\.com' }] },
    { source: '/x{/}?', destination: '/y', status: 302, afterFiles: true, has: [{ type: 'cookie', key: 'beta' }] },
  ])
  expect(policy.rewrites).toEqual([
    { source: '/api{/(.*)}?', destination: 'https://api.example.com/v1/$1' },
    { source: '/(.*)', destination: '/index.html' },
  ])
  expect(policy.errorPages).toEqual({ '404': '/404.html' })
  expect(warnings.map(({ line }) => line)).toEqual([13, 14, 15])
})

test('_headers: paths, splats, several headers, and what is refused', () => {
  const { policy, warnings } = read(
    '_headers',
    [
      '# all',
      '/*',
      '  X-Frame-Options: DENY',
      '  # inner',
      '  Link: </a>; rel=preload',
      '/assets/*.js',
      '\tCache-Control: public, max-age=1',
      '/x',
      '  Basic-Auth: a:b',
      '  broken',
      '  Content-Length: 3',
    ].join('\n'),
  )
  expect(policy.headers).toEqual([
    {
      source: '/(.*)',
      headers: [
        { key: 'X-Frame-Options', value: 'DENY' },
        { key: 'Link', value: '</a>; rel=preload' },
      ],
    },
    { source: '/assets/(.*).js', headers: [{ key: 'Cache-Control', value: 'public, max-age=1' }] },
  ])
  expect(warnings.map(({ line }) => line)).toEqual([9, 10, 11])
})

test('the first file wins about switches, its rules come first', () => {
  const { policy } = parseRuleFiles([
    {
      kind: 'switchyard.json',
      name: 'switchyard.json',
      text: '{"cleanUrls":false,"errorPages":{"404":"/own"},"redirects":[{"source":"/a","destination":"/1"}]}',
    },
    { kind: 'vercel.json', name: 'vercel.json', text: '{"cleanUrls":true,"trailingSlash":true,"redirects":[{"source":"/a","destination":"/2"}]}' },
    { kind: '_redirects', name: '_redirects', text: '/* /404.html 404' },
  ])
  expect(policy).toMatchObject({ cleanUrls: false, trailingSlash: true, errorPages: { '404': '/own' } })
  expect(policy.redirects?.map((rule) => rule.destination)).toEqual(['/1', '/2'])
})

test('files as large as strangers like are bounded, and read in a moment', () => {
  const begun = performance.now()
  const redirects = (count: number) => Array.from({ length: count }, (_, i) => `/a${i} /b`).join('\n')
  expect(read('_redirects', redirects(1024)).policy.redirects).toHaveLength(1024)
  expect(() => read('_redirects', redirects(1025))).toThrow('_redirects: 1025 redirects, and at most 1024 are allowed')
  expect(() => read('_redirects', redirects(20_000))).toThrow('20000 lines')
  const wrong = read('vercel.json', { redirects: Array.from({ length: 1000 }, () => ({ source: '/((a+)+)+(', destination: '/' })) })
  expect(wrong.policy).toEqual({})
  expect(wrong.warnings.length).toBeLessThanOrEqual(51)
  expect(() => read('vercel.json', { redirects: Array.from({ length: 3000 }, () => ({ source: '/a', destination: '/' })) })).toThrow('3000 redirects')
  const headers = Array.from({ length: 1000 }, () => ({ source: '/', headers: [{ key: 'X-A', value: 'x'.repeat(4000) }] }))
  expect(() => read('vercel.json', { headers })).toThrow(/^vercel\.json: the rules weigh .* at most 8 MiB/)
  // Few characters that a router would need a gigabyte for.
  const has = Array.from({ length: 16 }, () => ({ type: 'header', key: 'x', value: 'a{999}' }))
  const expanding = Array.from({ length: 200 }, () => ({ source: '/', destination: '/b', has }))
  expect(() => read('vercel.json', { redirects: expanding })).toThrow('the rules weigh')
  expect(performance.now() - begun).toBeLessThan(8000)
})

test('files are found at the root and where frameworks keep public files; links out of the tree are not followed', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'rules-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await mkdir(path.join(directory, 'public'))
  await writeFile(path.join(directory, 'vercel.json'), '{}')
  await writeFile(path.join(directory, 'public', '_redirects'), '/a /b')
  await symlink('/etc/hostname', path.join(directory, '_headers'))
  const files = await findRuleFiles(await openTree(directory), null)
  expect(files.map(({ name }) => name)).toEqual(['vercel.json', 'public/_redirects'])
})

test('a deployment does not go on without a list of addresses that cannot be read', async () => {
  expect(() => read('switchyard.json', { allowedAddresses: '192.0.2.0/24' })).toThrow(/^switchyard\.json:\d+: "allowedAddresses" is not understood/)
  expect(() => read('switchyard.json', { allowedAddresses: ['x'.repeat(65)] })).toThrow('allowedAddresses')
  expect(() => read('switchyard.json', '{ "allowedAddresses": ["192.0.2.0/24"], }')).toThrow('this is not JSON')
  expect(() => read('switchyard.json', '[]')).toThrow('an object is expected')
  const directory = await mkdtemp(path.join(tmpdir(), 'rules-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await writeFile(path.join(directory, 'switchyard.json'), ' '.repeat(256 * 1024 + 1))
  await expect(openTree(directory).then((files) => findRuleFiles(files, null))).rejects.toThrow('switchyard.json: the file is larger than 256 KiB')
})

test('one rule beyond the bounds is left out alone: who may come in is never widened by it', () => {
  const { policy, warnings } = parseRuleFiles([
    { kind: 'switchyard.json', name: 'switchyard.json', text: JSON.stringify({ allowedAddresses: ['192.0.2.0/24'] }) },
    { kind: '_redirects', name: '_redirects', text: `/a /b\n/${'x'.repeat(3_000)} /c\n/* /${'y'.repeat(3_000)} 404\n` },
  ])
  expect(policy.allowedAddresses).toEqual(['192.0.2.0/24'])
  expect(policy.redirects).toHaveLength(1)
  expect(policy.errorPages).toBeUndefined()
  expect(warnings.map(({ file, line }) => [file, line])).toEqual([
    ['_redirects', null],
    ['_redirects', 2],
  ])
})
