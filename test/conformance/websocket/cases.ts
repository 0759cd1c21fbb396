import { closeFrame, Opcode, wsFrame } from './wire'

/** One case, by the number Autobahn's suite gives it. */
export interface WsCase {
  id: string
  title: string
  /** Written one after the other, each in a write of its own. */
  send: Buffer[]
  /** The size of the writes; else each part at once. */
  chop?: number
  /** The connection is well until we close it; `refused`: the server closes it, with this code. */
  ends: 'clean' | { refused: number }
}

const { text, binary, continuation, close, ping, pong } = Opcode
const message = 'Hello-µ@ßöäüàá-UTF-8!!'
const clean = (id: string, title: string, send: Buffer[], chop?: number): WsCase => ({ id, title, send, ends: 'clean', ...(chop ? { chop } : {}) })
const refused = (id: string, title: string, code: number, send: Buffer[]): WsCase => ({ id, title, send, ends: { refused: code } })
const part = (opcode: number, payload: string | Buffer, fin = false) => wsFrame(opcode, payload, { fin })

const framing: WsCase[] = [text, binary].flatMap((opcode) =>
  [0, 125, 126, 127, 128, 65_535, 65_536].map((size, i) =>
    clean(`1.${opcode}.${i + 1}`, `a ${opcode === text ? 'text' : 'binary'} message of ${size} bytes`, [wsFrame(opcode, Buffer.alloc(size, '*'))]),
  ),
)
framing.push(
  clean('1.1.8', 'a text message of 65,536 bytes in writes of 997', [wsFrame(text, Buffer.alloc(65_536, '*'))], 997),
  clean('1.2.8', 'a binary message of 65,536 bytes in writes of 997', [wsFrame(binary, Buffer.alloc(65_536, 0xfe))], 997),
)

const pings: WsCase[] = [
  clean('2.1', 'a ping without payload', [wsFrame(ping)]),
  clean('2.2', 'a ping with text', [wsFrame(ping, 'Hello, world!')]),
  clean('2.3', 'a ping with bytes that are no text', [wsFrame(ping, Buffer.from([0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff]))]),
  clean('2.4', 'a ping of 125 bytes', [wsFrame(ping, Buffer.alloc(125, 0xfe))]),
  refused('2.5', 'a ping of 126 bytes', 1002, [wsFrame(ping, Buffer.alloc(126, 0xfe))]),
  clean('2.6', 'a ping of 125 bytes, byte by byte', [wsFrame(ping, Buffer.alloc(125, 0xfe))], 1),
  clean('2.7', 'an unasked pong', [wsFrame(pong)]),
  clean('2.8', 'an unasked pong with payload', [wsFrame(pong, 'unsolicited')]),
  clean('2.9', 'an unasked pong, then a ping', [wsFrame(pong, 'unsolicited'), wsFrame(ping, 'payload')]),
  clean(
    '2.10',
    'ten pings',
    Array.from({ length: 10 }, (_, i) => wsFrame(ping, `payload-${i}`)),
  ),
  clean(
    '2.11',
    'ten pings, byte by byte',
    Array.from({ length: 10 }, (_, i) => wsFrame(ping, `payload-${i}`)),
    1,
  ),
]

const reserved: WsCase[] = [1, 2, 3, 4, 5].map((rsv) =>
  refused(`3.${rsv}`, `reserved bits ${rsv} after a good message`, 1002, [wsFrame(text, message), wsFrame(text, message, { rsv }), wsFrame(ping)]),
)
reserved.push(
  refused('3.6', 'reserved bits 6, binary', 1002, [wsFrame(binary, Buffer.alloc(8, 0xff), { rsv: 6 })]),
  refused('3.7', 'reserved bits 7, close', 1002, [wsFrame(close, '', { rsv: 7 })]),
)

const opcodes: WsCase[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode, i) =>
  refused(`4.${i < 5 ? 1 : 2}.${(i % 5) + 1}`, `reserved opcode ${opcode} after a good message`, 1002, [
    wsFrame(text, message),
    wsFrame(opcode, i % 2 ? 'payload' : ''),
    wsFrame(ping),
  ]),
)

const fragments: WsCase[] = [
  refused('5.1', 'a ping in two fragments', 1002, [part(ping, 'frag'), part(continuation, 'ment', true)]),
  refused('5.2', 'a pong in two fragments', 1002, [part(pong, 'frag'), part(continuation, 'ment', true)]),
  clean('5.3', 'a text in two fragments', [part(text, 'frag'), part(continuation, 'ment', true)]),
  clean('5.5', 'a text in two fragments, byte by byte', [part(text, 'frag'), part(continuation, 'ment', true)], 1),
  clean('5.6', 'a ping between two fragments', [part(text, 'frag'), wsFrame(ping, 'between'), part(continuation, 'ment', true)]),
  clean('5.8', 'the same, byte by byte', [part(text, 'frag'), wsFrame(ping, 'between'), part(continuation, 'ment', true)], 1),
  refused('5.9', 'a continuation of nothing, final', 1002, [part(continuation, 'alone', true), wsFrame(text, message)]),
  refused('5.12', 'a continuation of nothing, not final', 1002, [part(continuation, 'alone'), wsFrame(text, message)]),
  refused('5.15', 'a continuation after a message that was whole', 1002, [
    part(text, 'a'),
    part(continuation, 'b', true),
    part(continuation, 'c'),
    wsFrame(text, 'd'),
  ]),
  refused('5.16', 'continuations before texts, twice', 1002, [part(continuation, 'a'), part(text, 'b'), part(continuation, 'c', true)]),
  refused('5.18', 'a text within the fragments of another', 1002, [part(text, 'frag'), wsFrame(text, 'ment')]),
  clean('5.19', 'five fragments with pings between them', [
    part(text, 'one'),
    part(continuation, 'two'),
    wsFrame(ping, 'first'),
    part(continuation, 'three'),
    part(continuation, 'four'),
    wsFrame(ping, 'second'),
    part(continuation, 'five', true),
  ]),
]

const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const validText: Record<string, string> = {
  '6.5.1': 'ce ba e1 bd b9 cf 83 ce bc ce b5',
  '6.6.2': 'ce ba',
  '6.7.1': '00',
  '6.7.2': 'c2 80',
  '6.7.3': 'e0 a0 80',
  '6.7.4': 'f0 90 80 80',
  '6.9.1': '7f',
  '6.9.2': 'df bf',
  '6.9.3': 'ef bf bf',
  '6.9.4': 'f4 8f bf bf',
  '6.11.1': 'ed 9f bf',
  '6.11.2': 'ee 80 80',
  '6.11.3': 'ef bf bd',
  '6.22.1': 'ef bf be',
  '6.23.1': 'ef bf bd ef bf bd',
}
const invalidText: Record<string, string> = {
  '6.3.1': 'ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80 65 64 69 74 65 64',
  '6.6.1': 'ce',
  '6.6.3': 'ce ba e1',
  '6.6.4': 'ce ba e1 bd',
  '6.8.1': 'f8 88 80 80 80',
  '6.8.2': 'fc 84 80 80 80 80',
  '6.10.1': 'f7 bf bf bf',
  '6.10.2': 'fb bf bf bf bf',
  '6.11.5': 'f4 90 80 80',
  '6.12.1': '80',
  '6.12.2': 'bf',
  '6.12.8': '80 81 82 83 84 85 86 87',
  '6.13.1': 'c0 20 c1 20 c2 20',
  '6.14.1': 'c0',
  '6.15.1': 'c0 e0 80 f0 80 80',
  '6.16.1': 'fe',
  '6.16.2': 'ff',
  '6.17.1': 'c0 af',
  '6.18.1': 'c1 bf',
  '6.19.1': 'c0 80',
  '6.20.1': 'ed a0 80',
  '6.21.1': 'ed a0 80 ed b0 80',
}

const bytesOf = (payload: Buffer) => Array.from(payload, (_, i) => payload.subarray(i, i + 1))
/** Every byte a fragment of its own. */
const fragmented = (payload: Buffer) => bytesOf(payload).map((byte, i) => part(i === 0 ? text : continuation, byte, i === payload.length - 1))

const utf8: WsCase[] = [
  clean('6.1.1', 'an empty text', [wsFrame(text)]),
  clean('6.1.2', 'an empty text in three fragments', [part(text, ''), part(continuation, ''), part(continuation, '', true)]),
  clean('6.1.3', 'three fragments, the middle one not empty', [part(text, ''), part(continuation, 'middle'), part(continuation, '', true)]),
  clean('6.2.1', 'a text with characters of two bytes', [wsFrame(text, message)]),
  clean('6.2.2', 'the same, cut between characters', [part(text, 'Hello-µ@ßöä'), part(continuation, 'üàá-UTF-8!!', true)]),
  clean('6.2.3', 'the same, cut after every byte', fragmented(Buffer.from(message))),
  clean('6.2.4', 'three characters of three bytes, cut after every byte', fragmented(hex('ce ba e1 bd b9 cf 83 ce bc ce b5'))),
  ...Object.entries(validText).map(([id, digits]) => clean(id, `valid text ${digits}`, [wsFrame(text, hex(digits))])),
  ...Object.entries(invalidText).map(([id, digits]) => refused(id, `invalid text ${digits}`, 1007, [wsFrame(text, hex(digits))])),
  refused('6.3.2', 'invalid text, cut after every byte', 1007, fragmented(hex(invalidText['6.3.1'] as string))),
  refused('6.4.1', 'invalid text in the second of three fragments', 1007, [
    part(text, hex('ce ba e1 bd b9 cf 83 ce bc ce b5')),
    part(continuation, hex('f4 90 80 80')),
    part(continuation, 'edited', true),
  ]),
  refused('6.4.3', 'the same, in writes of a byte', 1007, [part(text, hex('ce ba')), part(continuation, hex('f4 90 80 80'), true)]),
]

const closeCodes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
const badCloseCodes = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999]
const closes: WsCase[] = [
  clean('7.1.1', 'a message, then close', [wsFrame(text, message), closeFrame(1000)]),
  clean('7.1.2', 'close twice', [closeFrame(1000), closeFrame(1000)]),
  clean('7.1.3', 'a ping after close is not answered', [closeFrame(1000), wsFrame(ping, 'late')]),
  clean('7.1.4', 'a message after close is not answered', [closeFrame(1000), wsFrame(text, 'late')]),
  clean('7.1.6', 'a large message, then close at once', [wsFrame(binary, Buffer.alloc(262_144, 3)), closeFrame(1000)]),
  clean('7.3.2', 'close without code', [closeFrame()]),
  refused('7.3.1', 'close with one byte', 1002, [wsFrame(close, 'a')]),
  clean('7.3.3', 'close with a code', [closeFrame(1000)]),
  clean('7.3.4', 'close with a reason', [closeFrame(1000, 'bye')]),
  clean('7.3.5', 'close with the longest reason', [closeFrame(1000, '*'.repeat(123))]),
  refused('7.3.6', 'close with a reason too long', 1002, [closeFrame(1000, '*'.repeat(124))]),
  refused('7.5.1', 'close with a reason that is no UTF-8', 1007, [closeFrame(1000, hex('ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80'))]),
  ...closeCodes.map((code, i) => clean(`7.7.${i + 1}`, `close code ${code}`, [closeFrame(code)])),
  ...badCloseCodes.map((code, i) => refused(`7.9.${i + 1}`, `close code ${code}`, 1002, [closeFrame(code)])),
]

const kib = 1024
const large: WsCase[] = [64, 256, 1024, 4096, 8192, 16_384].flatMap((size, i) => [
  clean(`9.1.${i + 1}`, `a text of ${size} KiB`, [wsFrame(text, Buffer.alloc(size * kib, '*'))]),
  clean(`9.2.${i + 1}`, `a binary message of ${size} KiB`, [wsFrame(binary, Buffer.alloc(size * kib, 0xfe))]),
])
for (const [i, size] of [64, 256, 1024, 4096].entries()) {
  const pieces = Math.min(1_024, (1_024 * kib) / (size * 16))
  const step = (kib * kib) / pieces
  large.push(
    clean(
      `9.3.${i + 1}`,
      `a message of 1 MiB in ${pieces} fragments`,
      Array.from({ length: pieces }, (_, at) => part(at === 0 ? text : continuation, Buffer.alloc(step, '*'), at === pieces - 1)),
    ),
  )
}
for (const [i, size] of [64, 128, 256, 512, 1024, 2048].entries())
  large.push(clean(`9.5.${i + 1}`, `a text of 256 KiB in writes of ${size} bytes`, [wsFrame(text, Buffer.alloc(256 * kib, '*'))], size))
for (const [i, size] of [0, 16, 64, 256].entries())
  large.push(
    clean(
      `9.7.${i + 1}`,
      `a thousand texts of ${size} bytes`,
      Array.from({ length: 1_000 }, () => wsFrame(text, Buffer.alloc(size, '*'))),
    ),
  )

const misc: WsCase[] = [
  clean(
    '10.1.1',
    '64 KiB in fragments of 1,300 bytes',
    (() => {
      const parts: Buffer[] = []
      for (let at = 0; at < 65_536; at += 1_300)
        parts.push(part(at === 0 ? text : continuation, Buffer.alloc(Math.min(1_300, 65_536 - at), '*'), at + 1_300 >= 65_536))
      return parts
    })(),
  ),
]

/** The core of Autobahn's test suite, written anew: framing, pings, reserved bits, opcodes, fragments, UTF-8, close, sizes. */
export const webSocketCases: WsCase[] = [...framing, ...pings, ...reserved, ...opcodes, ...fragments, ...utf8, ...closes, ...large, ...misc]
