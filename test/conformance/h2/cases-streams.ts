import { ErrorCode, Flag, FrameType, Setting } from '@/router/engine/http2/protocol'
import { answered, type Case, check, connectionError, onWire, streamEnded, streamError } from './verify'
import { block, dataFrame, type Fields, frame, type H2Wire, headersFrame, requestFields, word } from './wire'

const { data, headers, priority, rstStream, settings, windowUpdate, continuation } = FrameType
const { protocolError, frameSizeError, streamClosed, refusedStream, compressionError } = ErrorCode
const get = requestFields()
const post = requestFields('POST')
const open = Flag.endHeaders
const dummy = block([['x-dummy', '~'.repeat(50)]])

const refused = (section: string, title: string, codes: number[], ...frames: Buffer[]): Case =>
  onWire(section, title, async (wire) => {
    wire.write(...frames)
    await connectionError(wire, ...codes)
  })

const streamRefused = (section: string, title: string, codes: number[], ...frames: Buffer[]): Case =>
  onWire(section, title, async (wire) => {
    wire.write(...frames)
    await streamError(wire, ...codes)
  })

/** Resets a stream, makes sure that was read, then sends `late` on it. */
const afterReset = (title: string, codes: number[], late: Buffer): Case =>
  onWire('http2/5.1', `closed: sends a ${title} frame after sending RST_STREAM frame`, async (wire) => {
    wire.write(headersFrame(1, post, open), frame(rstStream, 0, 1, word(8)), late)
    await streamError(wire, ...codes)
  })

const afterEnd = (title: string, codes: number[], late: Buffer): Case =>
  onWire('http2/5.1', `closed: sends a ${title} frame`, async (wire) => {
    wire.write(headersFrame(1, get))
    await streamEnded(wire)
    wire.write(late)
    await streamError(wire, ...codes)
  })

// The window of 0 keeps the stream from being closed by its answer.
const noWindow: [number, number][] = [[Setting.initialWindowSize, 0]]
const halfClosed = (title: string, codes: number[], late: Buffer): Case =>
  onWire(
    'http2/5.1',
    `half closed (remote): sends a ${title} frame`,
    async (wire) => {
      wire.write(headersFrame(1, get), late)
      await streamError(wire, ...codes)
    },
    noWindow,
  )

export const stateCases: Case[] = [
  refused('http2/5.1', 'idle: sends a DATA frame', [protocolError], dataFrame(1, 'test')),
  refused('http2/5.1', 'idle: sends a RST_STREAM frame', [protocolError], frame(rstStream, 0, 1, word(8))),
  refused('http2/5.1', 'idle: sends a WINDOW_UPDATE frame', [protocolError], frame(windowUpdate, 0, 1, word(100))),
  refused('http2/5.1', 'idle: sends a CONTINUATION frame', [protocolError], frame(continuation, Flag.endHeaders, 1, block(get))),
  halfClosed('DATA', [streamClosed], dataFrame(1, 'test')),
  halfClosed('HEADERS', [streamClosed], headersFrame(1, get)),
  halfClosed('CONTINUATION', [streamClosed, protocolError], frame(continuation, Flag.endHeaders, 1, dummy)),
  afterReset('DATA', [streamClosed], dataFrame(1, 'test')),
  afterReset('HEADERS', [streamClosed], headersFrame(1, get)),
  afterReset('CONTINUATION', [streamClosed, protocolError], frame(continuation, Flag.endHeaders, 1, dummy)),
  afterEnd('DATA', [streamClosed], dataFrame(1, 'test')),
  afterEnd('HEADERS', [streamClosed], headersFrame(1, get)),
  afterEnd('CONTINUATION', [streamClosed, protocolError], frame(continuation, Flag.endHeaders, 1, dummy)),
  refused('http2/5.1.1', 'sends even-numbered stream identifier', [protocolError], headersFrame(2, get)),
  refused(
    'http2/5.1.1',
    'sends stream identifier that is numerically smaller than previous',
    [protocolError],
    headersFrame(5, get),
    headersFrame(3, get),
  ),
  onWire('http2/5.1.2', 'sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded', tooManyStreams, noWindow),
  streamRefused(
    'http2/5.3.1',
    'sends HEADERS frame that depends on itself',
    [protocolError],
    frame(headers, Flag.endHeaders | Flag.endStream | Flag.priority, 1, Buffer.concat([word(1), Buffer.from([255]), block(get)])),
  ),
  streamRefused(
    'http2/5.3.1',
    'sends PRIORITY frame that depend on itself',
    [protocolError],
    headersFrame(1, post, open),
    frame(priority, 0, 1, Buffer.concat([word(1), Buffer.from([255])])),
  ),
]

async function tooManyStreams(wire: H2Wire): Promise<void> {
  const announced = wire.frames.find(({ type, flags }) => type === settings && (flags & Flag.ack) === 0)
  let limit = 0
  const bytes = announced?.payload ?? Buffer.alloc(0)
  for (let at = 0; at < bytes.length; at += 6) if (bytes.readUInt16BE(at) === Setting.maxConcurrentStreams) limit = bytes.readUInt32BE(at + 2)
  check(limit > 0 && limit < 10_000, 'a limit of concurrent streams announced')
  wire.write(...Array.from({ length: limit + 1 }, (_, i) => headersFrame(i * 2 + 1, get)))
  await streamError(wire, protocolError, refusedStream)
}

export const streamFrameCases: Case[] = [
  refused('http2/6.1', 'sends a DATA frame with 0x0 stream identifier', [protocolError], dataFrame(0, 'test')),
  onWire(
    'http2/6.1',
    'sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
    async (wire) => {
      wire.write(headersFrame(1, get), dataFrame(1, 'test'))
      await streamError(wire, streamClosed)
    },
    noWindow,
  ),
  refused(
    'http2/6.1',
    'sends a DATA frame with invalid pad length',
    [protocolError],
    headersFrame(1, post, open),
    frame(data, Flag.endStream | Flag.padded, 1, Buffer.concat([Buffer.from([6]), Buffer.from('test')])),
  ),
  refused(
    'http2/6.2',
    'sends a HEADERS frame without the END_HEADERS flag, and a PRIORITY frame',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    frame(priority, 0, 1, Buffer.alloc(5)),
  ),
  refused(
    'http2/6.2',
    'sends a HEADERS frame to another stream while sending a HEADERS frame',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    headersFrame(3, get),
  ),
  refused('http2/6.2', 'sends a HEADERS frame with 0x0 stream identifier', [protocolError], headersFrame(0, get)),
  refused(
    'http2/6.2',
    'sends a HEADERS frame with invalid pad length',
    [protocolError],
    frame(headers, Flag.endHeaders | Flag.endStream | Flag.padded, 1, Buffer.concat([Buffer.from([255]), block(get)])),
  ),
  refused('http2/6.3', 'sends a PRIORITY frame with 0x0 stream identifier', [protocolError], frame(priority, 0, 0, Buffer.alloc(5))),
  streamRefused(
    'http2/6.3',
    'sends a PRIORITY frame with a length other than 5 octets',
    [frameSizeError],
    headersFrame(1, post, open),
    frame(priority, 0, 1, Buffer.alloc(4)),
  ),
  refused('http2/6.4', 'sends a RST_STREAM frame with 0x0 stream identifier', [protocolError], frame(rstStream, 0, 0, word(8))),
  refused('http2/6.4', 'sends a RST_STREAM frame on a idle stream', [protocolError], frame(rstStream, 0, 1, word(8))),
  refused(
    'http2/6.4',
    'sends a RST_STREAM frame with a length other than 4 octets',
    [frameSizeError],
    headersFrame(1, post, open),
    frame(rstStream, 0, 1, Buffer.alloc(3)),
  ),
]

export const continuationCases: Case[] = [
  onWire('http2/6.10', 'sends multiple CONTINUATION frames preceded by a HEADERS frame', async (wire) => {
    wire.write(frame(headers, Flag.endStream, 1, block(get)), frame(continuation, 0, 1, dummy), frame(continuation, Flag.endHeaders, 1, dummy))
    await answered(wire)
  }),
  refused(
    'http2/6.10',
    'sends a CONTINUATION frame followed by any frame other than CONTINUATION',
    [protocolError],
    frame(headers, 0, 1, block(post)),
    frame(continuation, 0, 1, dummy),
    dataFrame(1, 'test'),
  ),
  refused(
    'http2/6.10',
    'sends a CONTINUATION frame with 0x0 stream identifier',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    frame(continuation, Flag.endHeaders, 0, dummy),
  ),
  refused(
    'http2/6.10',
    'sends a CONTINUATION frame preceded by a HEADERS frame with END_HEADERS flag',
    [protocolError],
    headersFrame(1, post, open),
    frame(continuation, Flag.endHeaders, 1, dummy),
  ),
  refused(
    'http2/6.10',
    'sends a CONTINUATION frame preceded by a CONTINUATION frame with END_HEADERS flag',
    [protocolError],
    frame(headers, 0, 1, block(post)),
    frame(continuation, Flag.endHeaders, 1, dummy),
    frame(continuation, Flag.endHeaders, 1, dummy),
  ),
  refused(
    'http2/6.10',
    'sends a CONTINUATION frame preceded by a DATA frame',
    [protocolError],
    headersFrame(1, post, open),
    dataFrame(1, 'test', 0),
    frame(continuation, Flag.endHeaders, 1, dummy),
  ),
]

const malformed = (section: string, title: string, fields: Fields): Case => streamRefused(section, title, [protocolError], headersFrame(1, fields))
const without = (name: string): Fields => get.filter(([known]) => known !== name)

export const messageCases: Case[] = [
  streamRefused(
    'http2/8.1',
    'sends a second HEADERS frame without the END_STREAM flag',
    [protocolError],
    headersFrame(1, post, open),
    headersFrame(1, [['x-test', 'ok']], open),
  ),
  malformed('http2/8.1.2', 'sends a HEADERS frame that contains the header field name in uppercase letters', [...get, ['X-TEST', 'ok']]),
  malformed('http2/8.1.2.1', 'sends a HEADERS frame that contains a unknown pseudo-header field', [...get, [':test', 'ok']]),
  malformed('http2/8.1.2.1', 'sends a HEADERS frame that contains the pseudo-header field defined for response', [...get, [':status', '200']]),
  streamRefused(
    'http2/8.1.2.1',
    'sends a HEADERS frame that contains a pseudo-header field as trailers',
    [protocolError],
    headersFrame(1, post, open),
    headersFrame(1, [[':method', 'POST']]),
  ),
  malformed(
    'http2/8.1.2.1',
    'sends a HEADERS frame that contains a pseudo-header field that appears in a header block after a regular header field',
    [...without(':path'), ['x-test', 'ok'], [':path', '/']],
  ),
  malformed('http2/8.1.2.2', 'sends a HEADERS frame that contains the connection-specific header field', [...get, ['connection', 'keep-alive']]),
  malformed('http2/8.1.2.2', 'sends a HEADERS frame that contains the TE header field with any value other than "trailers"', [
    ...get,
    ['trailers', 'test'],
    ['te', 'trailers, deflate;q=0.5'],
  ]),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame with empty ":path" pseudo-header field', [...without(':path'), [':path', '']]),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame that omits ":method" pseudo-header field', without(':method')),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame that omits ":scheme" pseudo-header field', without(':scheme')),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame that omits ":path" pseudo-header field', without(':path')),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame with duplicated ":method" pseudo-header field', [...get, [':method', 'GET']]),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame with duplicated ":scheme" pseudo-header field', [...get, [':scheme', 'http']]),
  malformed('http2/8.1.2.3', 'sends a HEADERS frame with duplicated ":path" pseudo-header field', [...get, [':path', '/']]),
  streamRefused(
    'http2/8.1.2.6',
    'sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
    [protocolError],
    headersFrame(1, [...post, ['content-length', '1']], open),
    dataFrame(1, 'test'),
  ),
  streamRefused(
    'http2/8.1.2.6',
    'sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
    [protocolError],
    headersFrame(1, [...post, ['content-length', '1']], open),
    dataFrame(1, 'test', 0),
    dataFrame(1, 'test'),
  ),
]

const badBlock = (section: string, title: string, bytes: number[]): Case =>
  refused(section, title, [compressionError], frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([block(get), Buffer.from(bytes)])))

export const hpackCases: Case[] = [
  badBlock('hpack/2.3.3', 'sends a indexed header field representation with invalid index', [0x80 | 70]),
  badBlock('hpack/2.3.3', 'sends a literal header field representation with invalid index', [0x40 | 0x3f, 70 - 63, 5, 0x76, 0x61, 0x6c, 0x75, 0x65]),
  badBlock('hpack/4.2', 'sends a dynamic table size update at the end of header block', [0x21]),
  badBlock(
    'hpack/5.2',
    'sends a Huffman-encoded string literal representation with padding longer than 7 bits',
    [0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x9f, 0xff].toSpliced(11, 1, 0xff),
  ),
  badBlock(
    'hpack/5.2',
    'sends a Huffman-encoded string literal representation padded by zero',
    [0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90],
  ),
  badBlock(
    'hpack/5.2',
    'sends a Huffman-encoded string literal representation containing the EOS symbol',
    [0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x88, 0x3f, 0xff, 0xff, 0xff, 0xf8, 0x49, 0x50, 0x9f],
  ),
  badBlock('hpack/6.1', 'sends a indexed header field representation with index 0', [0x80]),
  refused(
    'hpack/6.3',
    'sends a dynamic table size update larger than the value of SETTINGS_HEADER_TABLE_SIZE',
    [compressionError],
    frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([Buffer.from([0x3f, 0xe2, 0x3f]), block(get)])),
  ),
]
