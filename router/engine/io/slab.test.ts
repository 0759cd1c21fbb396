import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { Outbox } from './slab'

/** Takes writes as the kernel does: at once, or, while `slow`, later. */
class Wire extends Writable {
  readonly taken: Buffer[] = []
  slow = false
  #release: (() => void) | null = null

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk)
    if (this.slow) this.#release = done
    else done()
  }

  release(): void {
    this.slow = false
    this.#release?.()
    this.#release = null
  }
}

const outboxOn = () => {
  const wire = new Wire()
  return { wire, out: new Outbox(wire as unknown as ConstructorParameters<typeof Outbox>[0]) }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('what the wire still holds is not written over by later messages, of whatever length', async () => {
  const { wire, out } = outboxOn()
  const other = outboxOn()
  wire.slow = true
  out.text('first message')
  out.flush()
  for (const text of ['other message', 'x', 'another mess.']) {
    other.out.text(text)
    other.out.flush()
    await settled()
  }
  expect(wire.taken.map(String)).toEqual(['first message'])
  wire.release()
  expect(other.wire.taken).toHaveLength(3)
})

test('each message is seen as it was written, also when messages of one length follow each other', async () => {
  const { wire, out } = outboxOn()
  const seen: string[] = []
  wire._write = (chunk: Buffer, _encoding: string, done: () => void) => {
    seen.push(chunk.toString())
    done()
  }
  for (const text of ['aaaa', 'bbbb', 'cc', 'dddd', 'x'.repeat(5_000), 'y'.repeat(5_000), 'eeee']) {
    out.text(text)
    out.flush()
    await settled()
  }
  expect(seen).toEqual(['aaaa', 'bbbb', 'cc', 'dddd', 'x'.repeat(5_000), 'y'.repeat(5_000), 'eeee'])
})

test('a head that was sealed stays as it is until the next message of its connection begins', async () => {
  const [one, two] = [outboxOn(), outboxOn()]
  one.out.restart(64)
  one.out.text('GET /one')
  const head = one.out.seal()
  one.out.write(head)
  for (const text of ['GET /two', 'a body']) {
    two.out.restart(64)
    two.out.text(text)
    two.out.flush()
    one.out.text(text)
    one.out.flush()
    await settled()
  }
  expect(head.toString()).toBe('GET /one')
  one.out.restart(64)
  one.out.text('GET /new')
  expect(one.out.seal().toString()).toBe('GET /new')
  expect(head.toString()).toBe('GET /new')
})

test('a message that begins while the one before is still on its way does not take its memory', () => {
  const { wire, out } = outboxOn()
  wire.slow = true
  out.restart(64)
  out.text('GET /one')
  out.flush()
  out.restart(64)
  out.text('GET /two')
  out.flush()
  expect(wire.taken.map(String)).toEqual(['GET /one'])
  wire.release()
  expect(wire.taken.map(String)).toEqual(['GET /one', 'GET /two'])
})

test('a message longer than its own memory is written whole', () => {
  const { wire, out } = outboxOn()
  out.restart(16)
  out.text('short')
  out.text('and then more than fits')
  out.flush()
  expect(Buffer.concat(wire.taken).toString()).toBe('shortand then more than fits')
})
