import type { Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, createGunzip, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { defaultProjectRules } from '@/shared/project-rules'
import type { AnswerFilter, RequestFacts } from '../gate/gate'
import type { LiveRoute } from '../match/host-table'
import { Compression } from './compression'

const compression = new Compression({ maxAtOnce: 2 })
const route = (on = true) => ({ policy: { ...defaultProjectRules, compression: on } }) as LiveRoute
const facts = (encoding: string | undefined, method = 'GET') =>
  ({ method, header: (name: string) => (name === 'accept-encoding' ? encoding : undefined) }) as unknown as RequestFacts
const text: [string, string][] = [
  ['Content-Type', 'text/html'],
  ['Content-Length', '5000'],
  ['ETag', '"1"'],
  ['Accept-Ranges', 'bytes'],
]
const page = Buffer.from('<p>x</p>!'.repeat(1000)).subarray(0, 5000)

function through(filter: AnswerFilter | null, headers: [string, string][] = text, status = 200) {
  const verdict = filter?.onHead(status, headers) ?? null
  if (!verdict || 'replace' in verdict || !verdict.through) return null
  return { headers: Object.fromEntries(verdict.headers.map(([name, value]) => [name.toLowerCase(), value])), stream: verdict.through }
}

describe('compression of what instances answer', () => {
  test.each([
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
    ['gzip', gunzipSync],
  ] as const)('%s: smaller, the same when decoded, weakly tagged, without a length', async (encoding, decode) => {
    const coded = through(compression.filter(route(), facts(encoding)))
    if (!coded) throw new Error('not compressed')
    expect(coded.headers).toEqual({ 'content-type': 'text/html', etag: 'W/"1"', 'content-encoding': encoding, vary: 'Accept-Encoding' })
    coded.stream.end(page)
    const bytes = await buffer(coded.stream)
    expect(bytes.length).toBeLessThan(500)
    expect(decode(bytes).equals(page)).toBe(true)
    await expect.poll(() => compression.running).toBe(0)
  })
  test.each<[string, [string, string][], number]>([
    ['an image', [['Content-Type', 'image/png']], 200],
    ['events', [['Content-Type', 'text/event-stream']], 200],
    ['what is coded already', [...text, ['Content-Encoding', 'gzip']], 200],
    ['no-transform', [...text, ['Cache-Control', 'public, no-transform']], 200],
    ['a part', text, 206],
    ['nothing', text, 204],
    ['not modified', text, 304],
    [
      'what fits one packet',
      [
        ['Content-Type', 'text/html'],
        ['Content-Length', '1024'],
      ],
      200,
    ],
    ['a type nobody named', [], 200],
  ])('%s is left alone', (_name, headers, status) => {
    expect(compression.filter(route(), facts('br'))?.onHead(status, headers)).toBeNull()
  })
  test('no filter for who takes none, for HEAD, or where it is off', () => {
    expect(compression.filter(route(), facts(undefined))).toBeNull()
    expect(compression.filter(route(), facts('br', 'HEAD'))).toBeNull()
    expect(compression.filter(route(false), facts('br'))).toBeNull()
  })
  test('beyond the limit answers pass as they are, and an answer that broke off frees its place', async () => {
    const coded = Array.from({ length: 3 }, () => through(compression.filter(route(), facts('gzip'))))
    expect(coded.map((made) => made !== null)).toEqual([true, true, false])
    for (const made of coded) (made?.stream as Transform | undefined)?.destroy()
    await expect.poll(() => compression.running).toBe(0)
  })
  test('what is written bit by bit is seen bit by bit', async () => {
    const coded = through(compression.filter(route(), facts('gzip')), [['Content-Type', 'text/html']])
    if (!coded) throw new Error('not compressed')
    const decoded = createGunzip()
    coded.stream.pipe(decoded)
    const first = new Promise((resolve) => decoded.once('data', (part: Buffer) => resolve(part.toString())))
    coded.stream.write('shell')
    expect(await first).toBe('shell')
    coded.stream.end()
  })
})
