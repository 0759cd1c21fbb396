import { ErrorCode, Flag, FrameType, Setting } from '@/router/engine/http2/protocol'
import { answered, type Case, check, connectionError, onWire, stillAlive, streamError } from './verify'
import { block, dataFrame, frame, H2Wire, headersFrame, requestFields, settingsPayload, word } from './wire'

const { data, headers, priority, rstStream, settings, pushPromise, ping, goaway, windowUpdate, continuation } = FrameType
const { protocolError, flowControlError, frameSizeError, compressionError } = ErrorCode
const get = requestFields()
const post = requestFields('POST')
const open = Flag.endHeaders
const dummy = (bytes: number) => block(Array.from({ length: Math.ceil(bytes / 100) }, (_, i) => [`x-dummy${i}`, '~'.repeat(100)]))

/** Sends frames on an open connection and expects the connection error. */
const refused = (section: string, title: string, codes: number[], ...frames: Buffer[]): Case =>
  onWire(section, title, async (wire) => {
    wire.write(...frames)
    await connectionError(wire, ...codes)
  })

const invalidPriority = (id: number) => Buffer.concat([word(id), Buffer.from([255])])

export const prefaceAndFormatCases: Case[] = [
  onWire('http2/3.5', 'sends client connection preface', async (wire) => stillAlive(wire)),
  {
    section: 'http2/3.5',
    title: 'sends invalid connection preface',
    run: async (port) => {
      const wire = await H2Wire.connect(port)
      wire.write(Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n'))
      try {
        check(await wire.until(() => wire.closed || wire.frames.some(({ type }) => type === goaway)), 'the connection closed')
      } finally {
        wire.close()
      }
    },
  },
  onWire('http2/4.1', 'sends a frame with unknown type', async (wire) => {
    wire.write(frame(0xff, 0, 0, Buffer.alloc(8)))
    await stillAlive(wire)
  }),
  onWire('http2/4.1', 'sends a frame with undefined flag', async (wire) => {
    const mark = Buffer.alloc(8, 1)
    wire.write(frame(ping, 0xfe, 0, mark))
    check((await wire.next(({ type, payload }) => type === ping && payload.equals(mark))) !== null, 'the PING answered')
  }),
  onWire('http2/4.1', 'sends a frame with reserved field bit', async (wire) => {
    const mark = Buffer.alloc(8, 2)
    wire.write(frame(ping, 0, 0x80000000, mark))
    check((await wire.next(({ type, payload }) => type === ping && payload.equals(mark))) !== null, 'the PING answered')
  }),
  onWire('http2/4.2', 'sends a DATA frame with 2^14 octets in length', async (wire) => {
    wire.write(headersFrame(1, post, open), dataFrame(1, Buffer.alloc(16_384)))
    await answered(wire)
  }),
  onWire('http2/4.2', 'sends a large size DATA frame that exceeds the SETTINGS_MAX_FRAME_SIZE', async (wire) => {
    wire.write(headersFrame(1, post, open), dataFrame(1, Buffer.alloc(16_385)))
    await streamError(wire, frameSizeError)
  }),
  onWire('http2/4.2', 'sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE', async (wire) => {
    wire.write(frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.concat([block(get), dummy(20_000)])))
    await connectionError(wire, frameSizeError)
  }),
  refused(
    'http2/4.3',
    'sends invalid header block fragment',
    [compressionError],
    frame(headers, Flag.endHeaders | Flag.endStream, 1, Buffer.from([0, 1])),
  ),
  refused(
    'http2/4.3',
    'sends a PRIORITY frame while sending the header blocks',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    frame(priority, 0, 1, invalidPriority(0)),
    frame(continuation, Flag.endHeaders, 1, dummy(100)),
  ),
  refused(
    'http2/4.3',
    'sends a HEADERS frame to another stream while sending the header blocks',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    headersFrame(3, get),
  ),
]

export const errorAndExtensionCases: Case[] = [
  onWire('http2/5.4.1', 'sends an invalid PING frame for connection close', async (wire) => {
    wire.write(frame(ping, 0, 3, Buffer.alloc(8)))
    check(await wire.until(() => wire.closed), 'the connection closed')
  }),
  refused('http2/5.4.1', 'sends an invalid PING frame to receive GOAWAY frame', [protocolError], frame(ping, 0, 3, Buffer.alloc(8))),
  onWire('http2/5.5', 'sends an unknown extension frame', async (wire) => {
    wire.write(frame(0xff, 0, 0, Buffer.from('unknown!')))
    await stillAlive(wire)
  }),
  refused(
    'http2/5.5',
    'sends an unknown extension frame in the middle of a header block',
    [protocolError],
    frame(headers, Flag.endStream, 1, block(get)),
    frame(0xff, 0, 1, Buffer.from('unknown!')),
  ),
]

const settingsOf = (setting: number, value: number) => frame(settings, 0, 0, settingsPayload([[setting, value]]))

export const settingsCases: Case[] = [
  refused('http2/6.5', 'sends a SETTINGS frame with ACK flag and payload', [frameSizeError], frame(settings, Flag.ack, 0, Buffer.alloc(1))),
  refused(
    'http2/6.5',
    'sends a SETTINGS frame with a stream identifier other than 0x0',
    [protocolError],
    frame(settings, 0, 1, settingsPayload([[3, 1]])),
  ),
  refused(
    'http2/6.5',
    'sends a SETTINGS frame with a length other than a multiple of 6 octets',
    [frameSizeError],
    frame(settings, 0, 0, Buffer.alloc(3)),
  ),
  refused('http2/6.5.2', 'SETTINGS_ENABLE_PUSH: sends the value other than 0 or 1', [protocolError], settingsOf(Setting.enablePush, 2)),
  refused(
    'http2/6.5.2',
    'SETTINGS_INITIAL_WINDOW_SIZE: sends the value above the maximum flow control window size',
    [flowControlError],
    settingsOf(Setting.initialWindowSize, 0x80000000),
  ),
  refused(
    'http2/6.5.2',
    'SETTINGS_MAX_FRAME_SIZE: sends the value below the initial value',
    [protocolError],
    settingsOf(Setting.maxFrameSize, 16_383),
  ),
  refused(
    'http2/6.5.2',
    'SETTINGS_MAX_FRAME_SIZE: sends the value above the maximum allowed frame size',
    [protocolError],
    settingsOf(Setting.maxFrameSize, 16_777_216),
  ),
  onWire('http2/6.5.2', 'sends a SETTINGS frame with unknown identifier', async (wire) => {
    wire.write(settingsOf(0xff, 1))
    await stillAlive(wire)
  }),
  onWire('http2/6.5.3', 'sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE', async (wire) => {
    wire.write(
      frame(
        settings,
        0,
        0,
        settingsPayload([
          [4, 100],
          [4, 1],
        ]),
      ),
      headersFrame(1, get),
    )
    const found = await wire.next(({ type }) => type === data)
    check(found?.payload.length === 1, `one byte of DATA, not ${found?.payload.length}`)
  }),
  onWire('http2/6.5.3', 'sends a SETTINGS frame without ACK flag', async (wire) => {
    wire.write(settingsOf(Setting.enablePush, 0))
    check((await wire.next(({ type, flags }) => type === settings && (flags & Flag.ack) !== 0)) !== null, 'SETTINGS acknowledged')
  }),
]

export const pingAndGoawayCases: Case[] = [
  onWire('http2/6.7', 'sends a PING frame', async (wire) => stillAlive(wire)),
  onWire('http2/6.7', 'sends a PING frame with ACK', async (wire) => {
    const wrong = Buffer.from('invalid!')
    wire.write(frame(ping, Flag.ack, 0, wrong))
    await stillAlive(wire)
    check(!wire.frames.some(({ type, payload }) => type === ping && payload.equals(wrong)), 'no answer to an acknowledgement')
  }),
  refused('http2/6.7', 'sends a PING frame with a stream identifier field value other than 0x0', [protocolError], frame(ping, 0, 1, Buffer.alloc(8))),
  refused('http2/6.7', 'sends a PING frame with a length field value other than 8', [frameSizeError], frame(ping, 0, 0, Buffer.alloc(6))),
  refused('http2/6.8', 'sends a GOAWAY frame with a stream identifier other than 0x0', [protocolError], frame(goaway, 0, 1, Buffer.alloc(8))),
  onWire('http2/7', 'sends a GOAWAY frame with unknown error code', async (wire) => {
    wire.write(frame(goaway, 0, 0, Buffer.concat([word(0), word(0xff)])))
    check(await wire.until(() => wire.closed, 300).then(async (closed) => closed || (await wire.alive())), 'the connection closed or alive')
  }),
  onWire('http2/7', 'sends a RST_STREAM frame with unknown error code', async (wire) => {
    wire.write(headersFrame(1, post, open), frame(rstStream, 0, 1, word(0xff)))
    await stillAlive(wire)
  }),
]

export const windowCases: Case[] = [
  refused('http2/6.9', 'sends a WINDOW_UPDATE frame with a flow control window increment of 0', [protocolError], frame(windowUpdate, 0, 0, word(0))),
  onWire('http2/6.9', 'sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream', async (wire) => {
    wire.write(headersFrame(1, post, open), frame(windowUpdate, 0, 1, word(0)))
    await streamError(wire, protocolError)
  }),
  refused('http2/6.9', 'sends a WINDOW_UPDATE frame with a length other than 4 octets', [frameSizeError], frame(windowUpdate, 0, 0, Buffer.alloc(3))),
  onWire('http2/6.9.1', 'sends SETTINGS frame to set the initial window size to 1 and sends HEADERS frame', async (wire) => {
    wire.write(settingsOf(Setting.initialWindowSize, 1), headersFrame(1, get))
    const found = await wire.next(({ type }) => type === data)
    check(found?.payload.length === 1, `one byte of DATA, not ${found?.payload.length}`)
  }),
  refused(
    'http2/6.9.1',
    'sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1',
    [flowControlError],
    frame(windowUpdate, 0, 0, word(0x7fffffff)),
    frame(windowUpdate, 0, 0, word(0x7fffffff)),
  ),
  onWire('http2/6.9.1', 'sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream', async (wire) => {
    wire.write(headersFrame(1, post, open), frame(windowUpdate, 0, 1, word(0x7fffffff)), frame(windowUpdate, 0, 1, word(0x7fffffff)))
    await streamError(wire, flowControlError)
  }),
  onWire('http2/6.9.2', 'changes SETTINGS_INITIAL_WINDOW_SIZE after sending HEADERS frame', async (wire) => {
    wire.write(settingsOf(Setting.initialWindowSize, 0), headersFrame(1, get))
    await answered(wire)
    wire.write(settingsOf(Setting.initialWindowSize, 1))
    const found = await wire.next(({ type }) => type === data)
    check(found?.payload.length === 1, `one byte of DATA, not ${found?.payload.length}`)
  }),
  onWire('http2/6.9.2', 'sends a SETTINGS frame for window size to be negative', async (wire) => {
    wire.write(settingsOf(Setting.initialWindowSize, 3), headersFrame(1, get))
    const three = await wire.next(({ type }) => type === data)
    check(three?.payload.length === 3, `three bytes of DATA, not ${three?.payload.length}`)
    wire.write(settingsOf(Setting.initialWindowSize, 2), frame(windowUpdate, 0, 1, word(2)))
    const one = await wire.next(({ type }) => type === data)
    check(one?.payload.length === 1, `one byte more, not ${one?.payload.length}`)
  }),
]

export const pushCases: Case[] = [
  onWire('http2/8.2', 'sends a PUSH_PROMISE frame', async (wire) => {
    wire.write(frame(pushPromise, Flag.endHeaders, 1, Buffer.concat([word(3), block(get)])))
    await connectionError(wire, protocolError)
  }),
]
