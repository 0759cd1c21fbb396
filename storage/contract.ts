import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { BlobStore } from './blob-store'

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

async function* pieces(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

async function read(store: BlobStore, digest: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of await store.get(digest)) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks)
}

/** What every driver of BlobStore guarantees. `open` gives an empty store; `isEmpty` says that nothing, not even a part, is kept. */
export function describeBlobStore(name: string, open: () => Promise<{ store: BlobStore; isEmpty: () => Promise<boolean> }>): void {
  describe(`blob store: ${name}`, () => {
    test('what was put is what is got, by its digest', async () => {
      const { store } = await open()
      const put = await store.put(pieces('hello ', 'world'))
      expect(put).toEqual({ digest: digestOf(Buffer.from('hello world')), sizeBytes: 11 })
      expect((await read(store, put.digest)).toString()).toBe('hello world')
      expect(await store.stat(put.digest)).toEqual({ sizeBytes: 11 })
    })

    test('no bytes at all are a blob too', async () => {
      const { store } = await open()
      const put = await store.put(pieces())
      expect(put).toEqual({ digest: digestOf(new Uint8Array()), sizeBytes: 0 })
      expect(await read(store, put.digest)).toHaveLength(0)
    })

    test('megabytes in uneven chunks arrive unharmed', async () => {
      const { store } = await open()
      const parts = Array.from({ length: 40 }, (_, index) => randomBytes(1 + index * 7919))
      const put = await store.put(pieces(...parts))
      expect((await read(store, put.digest)).equals(Buffer.concat(parts))).toBe(true)
    })

    test('the same bytes again, also at the same time, are the same blob', async () => {
      const { store } = await open()
      const puts = await Promise.all(Array.from({ length: 8 }, () => store.put(pieces('twice'))))
      expect(new Set(puts.map(({ digest }) => digest)).size).toBe(1)
      expect((await read(store, puts[0]?.digest ?? '')).toString()).toBe('twice')
    })

    test('past maxBytes nothing is kept', async () => {
      const { store, isEmpty } = await open()
      await expect(store.put(pieces('12345', '6'), { maxBytes: 5 })).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
      expect(await isEmpty()).toBe(true)
      expect((await store.put(pieces('12345'), { maxBytes: 5 })).sizeBytes).toBe(5)
    })

    test('a digest that differs from the expected one is refused and nothing is kept', async () => {
      const { store, isEmpty } = await open()
      await expect(store.put(pieces('a'), { expectDigest: digestOf(Buffer.from('b')) })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
      expect(await isEmpty()).toBe(true)
      await store.put(pieces('a'), { expectDigest: digestOf(Buffer.from('a')) })
    })

    test('a source that breaks off leaves nothing', async () => {
      const { store, isEmpty } = await open()
      const broken = (async function* () {
        yield Buffer.from('half')
        throw new Error('connection lost')
      })()
      await expect(store.put(broken)).rejects.toThrow('connection lost')
      expect(await isEmpty()).toBe(true)
    })

    test('unknown digests: null, ERR_NOT_FOUND, and no error on removal', async () => {
      const { store } = await open()
      const unknown = digestOf(Buffer.from('never put'))
      expect(await store.stat(unknown)).toBeNull()
      await expect(store.get(unknown)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
      await store.remove(unknown)
    })

    test('removed is gone, and can be put again', async () => {
      const { store, isEmpty } = await open()
      const { digest } = await store.put(pieces('x'))
      await store.remove(digest)
      expect(await store.stat(digest)).toBeNull()
      expect(await isEmpty()).toBe(true)
      await store.put(pieces('x'))
      expect(await store.stat(digest)).toEqual({ sizeBytes: 1 })
    })

    test.each([
      '',
      'sha256:',
      'sha256:../../../etc/passwd',
      `sha256:${'A'.repeat(64)}`,
      `sha256:${'a'.repeat(63)}/`,
      `md5:${'a'.repeat(64)}`,
      `sha256:${'a'.repeat(64)}\n`,
    ])('a name that is no digest is refused: %j', async (digest) => {
      const { store } = await open()
      await expect(store.get(digest)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
      await expect(store.stat(digest)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
      await expect(store.remove(digest)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    })
  })
}
