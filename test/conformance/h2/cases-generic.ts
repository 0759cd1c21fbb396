import { Flag, FrameType, Setting } from '@/router/engine/http2/protocol'
import { answered, type Case, check, onWire, stillAlive, streamEnded } from './verify'
import { block, dataFrame, type Fields, frame, headersFrame, requestFields, settingsPayload, word } from './wire'

const { data, headers, priority, rstStream, settings, goaway, windowUpdate, continuation } = FrameType
const get = requestFields()
const post = requestFields('POST')
const open = Flag.endHeaders

const priorityPayload = (dependency: number, weight: number, exclusive = false) =>
  Buffer.concat([word(dependency + (exclusive ? 0x80000000 : 0)), Buffer.from([weight - 1])])

const padded = (payload: Buffer, padding: number) => Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)])

export const startingCases: Case[] = [
  onWire('generic/1', 'sends a client connection preface', async (wire) => {
    await stillAlive(wire)
  }),
  onWire('generic/2', 'sends a PRIORITY frame on idle stream', async (wire) => {
    wire.write(frame(priority, 0, 1, priorityPayload(0, 255)))
    await stillAlive(wire)
  }),
  onWire('generic/2', 'sends a WINDOW_UPDATE frame on half-closed (remote) stream', async (wire) => {
    wire.write(headersFrame(1, get), frame(windowUpdate, 0, 1, word(100)))
    await answered(wire)
  }),
  onWire('generic/2', 'sends a PRIORITY frame on half-closed (remote) stream', async (wire) => {
    wire.write(headersFrame(1, get), frame(priority, 0, 1, priorityPayload(0, 255)))
    await answered(wire)
  }),
  onWire('generic/2', 'sends a RST_STREAM frame on half-closed (remote) stream', async (wire) => {
    wire.write(headersFrame(1, get), frame(rstStream, 0, 1, word(8)))
    await stillAlive(wire)
  }),
  onWire('generic/2', 'sends a PRIORITY frame on closed stream', async (wire) => {
    wire.write(headersFrame(1, get))
    await streamEnded(wire)
    wire.write(frame(priority, 0, 1, priorityPayload(0, 255)))
    await stillAlive(wire)
  }),
]

export const frameCases: Case[] = [
  onWire('generic/3.1', 'sends a DATA frame', async (wire) => {
    wire.write(headersFrame(1, post, open), dataFrame(1, 'test'))
    await answered(wire)
  }),
  onWire('generic/3.1', 'sends multiple DATA frames', async (wire) => {
    wire.write(headersFrame(1, post, open), dataFrame(1, 'test', 0), dataFrame(1, 'test'))
    await answered(wire)
  }),
  onWire('generic/3.1', 'sends a DATA frame with padding', async (wire) => {
    wire.write(headersFrame(1, post, open), frame(data, Flag.endStream | Flag.padded, 1, padded(Buffer.from('test'), 6)))
    await answered(wire)
  }),
  onWire('generic/3.2', 'sends a HEADERS frame', async (wire) => {
    wire.write(headersFrame(1, get))
    await answered(wire)
  }),
  onWire('generic/3.2', 'sends a HEADERS frame with padding', async (wire) => {
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream | Flag.padded, 1, padded(block(get), 6)))
    await answered(wire)
  }),
  onWire('generic/3.2', 'sends a HEADERS frame with priority', async (wire) => {
    const payload = Buffer.concat([priorityPayload(0, 255), block(get)])
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream | Flag.priority, 1, payload))
    await answered(wire)
  }),
  ...priorityCases(),
  onWire('generic/3.4', 'sends a RST_STREAM frame', async (wire) => {
    wire.write(headersFrame(1, post, open), frame(rstStream, 0, 1, word(8)))
    await stillAlive(wire)
  }),
  onWire('generic/3.5', 'sends a SETTINGS frame', async (wire) => {
    wire.write(frame(settings, 0, 0, settingsPayload([[Setting.maxConcurrentStreams, 100]])))
    check((await wire.next(({ type, flags }) => type === settings && (flags & Flag.ack) !== 0)) !== null, 'SETTINGS acknowledged')
  }),
  onWire('generic/3.7', 'sends a PING frame', async (wire) => {
    await stillAlive(wire)
  }),
  onWire('generic/3.8', 'sends a GOAWAY frame', async (wire) => {
    wire.write(frame(goaway, 0, 0, Buffer.concat([word(0), word(0)])))
    check(await wire.until(() => wire.closed, 300).then(async (closed) => closed || (await wire.alive())), 'the connection closed or alive')
  }),
  onWire('generic/3.9', 'sends a WINDOW_UPDATE frame with stream ID 0', async (wire) => {
    wire.write(frame(windowUpdate, 0, 0, word(1)))
    await stillAlive(wire)
  }),
  onWire('generic/3.9', 'sends a WINDOW_UPDATE frame with stream ID 1', async (wire) => {
    wire.write(headersFrame(1, get), frame(windowUpdate, 0, 1, word(1)))
    await answered(wire)
  }),
  onWire('generic/3.10', 'sends a CONTINUATION frame', async (wire) => {
    wire.write(frame(headers, Flag.endStream, 1, block(get.slice(0, 2))), frame(continuation, Flag.endHeaders, 1, block(get.slice(2))))
    await answered(wire)
  }),
  onWire('generic/3.10', 'sends multiple CONTINUATION frames', async (wire) => {
    wire.write(
      frame(headers, Flag.endStream, 1, block(get.slice(0, 2))),
      frame(continuation, 0, 1, block(get.slice(2))),
      frame(continuation, Flag.endHeaders, 1, block([['x-dummy', 'x'.repeat(100)]])),
    )
    await answered(wire)
  }),
]

function priorityCases(): Case[] {
  const withPriority = (title: string, dependency: number, weight: number, exclusive: boolean) =>
    onWire('generic/3.3', title, async (wire) => {
      const id = dependency === 0 ? 1 : 3
      if (dependency !== 0) wire.write(headersFrame(1, post, open))
      wire.write(headersFrame(id, get), frame(priority, 0, id, priorityPayload(dependency, weight, exclusive)))
      await answered(wire, id)
      await stillAlive(wire)
    })
  return [
    withPriority('sends a PRIORITY frame with priority 1', 0, 1, false),
    withPriority('sends a PRIORITY frame with priority 256', 0, 256, false),
    withPriority('sends a PRIORITY frame with stream dependency', 1, 255, false),
    withPriority('sends a PRIORITY frame with exclusive', 0, 255, true),
    onWire('generic/3.3', 'sends a PRIORITY frame for an idle stream, then send a HEADERS frame for a lower stream ID', async (wire) => {
      wire.write(frame(priority, 0, 123, priorityPayload(0, 255)), headersFrame(1, get))
      await answered(wire)
    }),
  ]
}

export const exchangeCases: Case[] = [
  onWire('generic/4', 'sends a GET request', async (wire) => {
    wire.write(headersFrame(1, get))
    await answered(wire)
    await streamEnded(wire)
  }),
  onWire('generic/4', 'sends a HEAD request', async (wire) => {
    wire.write(headersFrame(1, requestFields('HEAD')))
    await answered(wire)
    check(!wire.frames.some(({ type, payload }) => type === data && payload.length > 0), 'no body')
  }),
  onWire('generic/4', 'sends a POST request', async (wire) => {
    wire.write(headersFrame(1, post, open), dataFrame(1, 'test'))
    await answered(wire)
    await streamEnded(wire)
  }),
  onWire('generic/4', 'sends a POST request with trailers', async (wire) => {
    wire.write(headersFrame(1, [...post, ['trailer', 'x-test']], open), dataFrame(1, 'test', 0), headersFrame(1, [['x-test', 'ok']]))
    await answered(wire)
    await streamEnded(wire)
  }),
]

// user-agent is 58 in the static table; "custom" in Huffman is 25 a8 49 e9 5b a9 7d 7f without the key's end.
const huffmanText = Buffer.from([0x86, 0xa0, 0xe4, 0x1d, 0x13, 0x9d, 0x09])
const plainText = Buffer.concat([Buffer.from([8]), Buffer.from('localhos')])
const plainName = Buffer.concat([Buffer.from([6]), Buffer.from('x-test')])
const huffmanName = Buffer.from([0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff])

export const hpackFieldCases: Case[] = [
  hpackCase('sends an indexed header field representation', Buffer.from([0x80 | 16])),
  ...[
    ['incremental indexing', 0x40, 0x7a],
    ['without indexing', 0x00, 0x0f2b],
    ['never indexed', 0x10, 0x1f2b],
  ].flatMap(([title, newName, indexed]) => {
    const name = Buffer.from((indexed as number) > 255 ? [(indexed as number) >> 8, (indexed as number) & 255] : [indexed as number])
    const first = Buffer.from([newName as number])
    return [
      hpackCase(`sends a literal header field, ${title}, indexed name`, Buffer.concat([name, plainText])),
      hpackCase(`sends a literal header field, ${title}, indexed name (with Huffman coding)`, Buffer.concat([name, huffmanText])),
      hpackCase(`sends a literal header field, ${title}, new name`, Buffer.concat([first, plainName, plainText])),
      hpackCase(`sends a literal header field, ${title}, new name (with Huffman coding)`, Buffer.concat([first, huffmanName, huffmanText])),
    ]
  }),
  onWire('generic/5', 'sends a dynamic table size update', async (wire) => {
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([Buffer.from([0x20]), block(get)])))
    await answered(wire)
  }),
  onWire('generic/5', 'sends multiple dynamic table size update', async (wire) => {
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([Buffer.from([0x20, 0x3f, 0xe1, 0x1f]), block(get)])))
    await answered(wire)
  }),
]

function hpackCase(title: string, field: Buffer): Case {
  return onWire('generic/5', title, async (wire) => {
    const fields: Fields = get
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([block(fields), field])))
    const status = await wire.status(1)
    check(status !== null && status !== '400', 'the request understood')
  })
}
