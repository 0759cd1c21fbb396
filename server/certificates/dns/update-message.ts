import { createHmac, randomInt, timingSafeEqual } from 'node:crypto'
import { DnsProviderError } from './provider'

/** Messages of dynamic updates: RFC 2136 §2 with TSIG of RFC 8945, HMAC-SHA256. */

export interface TsigKey {
  name: string
  secret: Buffer
}

export interface Update {
  zone: string
  name: string
  value: string
  action: 'add' | 'delete'
  ttl: number
}

export interface SignedMessage {
  bytes: Buffer
  id: number
  mac: Buffer
}

const classIn = 1
const classNone = 254
const classAny = 255
const typeSoa = 6
const typeTxt = 16
const typeTsig = 250
const opcodeUpdate = 5 << 11
const fudgeSeconds = 300
const algorithm = 'hmac-sha256'
const headerBytes = 12
const maxLabelBytes = 63

const names = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE']
const tsigErrors: Readonly<Record<number, string>> = {
  16: 'BADSIG (wrong key secret)',
  17: 'BADKEY (unknown key name)',
  18: 'BADTIME (clocks differ)',
}
export const updateError = (code: number): string => tsigErrors[code] ?? names[code] ?? `code ${code}`

const u16 = (value: number): Buffer => Buffer.of((value >> 8) & 0xff, value & 0xff)
const u32 = (value: number): Buffer => Buffer.concat([u16(Math.floor(value / 65_536)), u16(value % 65_536)])
const u48 = (value: number): Buffer => Buffer.concat([u16(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32)])

/** A name in wire format, lower case and uncompressed, as the digest requires (RFC 8945 §4.3.3). @throws DnsProviderError */
export function encodeName(name: string): Buffer {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.').filter(Boolean)
  const parts = labels.flatMap((label) => {
    const bytes = Buffer.from(label, 'latin1')
    if (bytes.length > maxLabelBytes) throw new DnsProviderError(`${name} is not a DNS name`)
    return [Buffer.of(bytes.length), bytes]
  })
  return Buffer.concat([...parts, Buffer.of(0)])
}

/** A TXT string has at most 255 bytes; a challenge value has 43. */
const textData = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')])

/** Encodes an update that adds or removes one TXT value of a name (RFC 2136 §2.5.1, §2.5.4); other values stay. */
export function encodeUpdate(update: Update, key: TsigKey, now: Date): SignedMessage {
  const id = randomInt(65_536)
  const data = textData(update.value)
  const add = update.action === 'add'
  const body = Buffer.concat([
    u16(opcodeUpdate),
    u16(1),
    u16(0),
    u16(1),
    u16(0),
    encodeName(update.zone),
    u16(typeSoa),
    u16(classIn),
    encodeName(update.name),
    u16(typeTxt),
    u16(add ? classIn : classNone),
    u32(add ? update.ttl : 0),
    u16(data.length),
    data,
  ])
  const unsigned = Buffer.concat([u16(id), body])
  const seconds = Math.floor(now.getTime() / 1000)
  const mac = createHmac('sha256', key.secret)
    .update(unsigned)
    .update(variables(key, seconds, 0, Buffer.alloc(0)))
    .digest()
  const tsigData = Buffer.concat([encodeName(algorithm), u48(seconds), u16(fudgeSeconds), u16(mac.length), mac, u16(id), u16(0), u16(0)])
  const tsig = Buffer.concat([encodeName(key.name), u16(typeTsig), u16(classAny), u32(0), u16(tsigData.length), tsigData])
  const bytes = Buffer.concat([unsigned, tsig])
  // Count the signature as an additional record only now: the digest above must not include it (RFC 8945 §4.3.2).
  bytes.writeUInt16BE(1, 10)
  return { bytes, id, mac }
}

/** TSIG variables for the digest (RFC 8945 §4.3.3). */
const variables = (key: TsigKey, seconds: number, error: number, other: Buffer, fudge = fudgeSeconds): Buffer =>
  Buffer.concat([encodeName(key.name), u16(classAny), u32(0), encodeName(algorithm), u48(seconds), u16(fudge), u16(error), u16(other.length), other])

/** Returns the position after a name, which may be compressed. */
function skipName(message: Buffer, at: number): number {
  for (let i = at; ; ) {
    const length = message.readUInt8(i)
    if (length === 0) return i + 1
    if (length >= 0xc0) return i + 2
    i += 1 + length
  }
}

/**
 * The result of an update. An unsigned answer is accepted only if it reports that our signature was refused.
 * @returns RCODE, or the TSIG error
 * @throws DnsProviderError when the answer does not belong to `sent` or has a wrong signature
 */
export function verifyAnswer(answer: Buffer, sent: SignedMessage, key: TsigKey): number {
  try {
    if (answer.length < headerBytes || answer.readUInt16BE(0) !== sent.id) throw new DnsProviderError('the name server answered something else')
    const code = answer.readUInt8(3) & 0x0f
    const tsig = findTsig(answer)
    if (!tsig) {
      if (code !== 0) return code
      throw new DnsProviderError('the name server did not sign its answer')
    }
    if (tsig.error !== 0) return tsig.error
    const unsigned = Buffer.concat([u16(tsig.originalId), answer.subarray(2, tsig.start)])
    unsigned.writeUInt16BE(answer.readUInt16BE(10) - 1, 10)
    const expected = createHmac('sha256', key.secret)
      .update(u16(sent.mac.length))
      .update(sent.mac)
      .update(unsigned)
      .update(variables(key, tsig.seconds, tsig.error, tsig.other, tsig.fudge))
      .digest()
    if (tsig.mac.length !== expected.length || !timingSafeEqual(tsig.mac, expected))
      throw new DnsProviderError('the answer of the name server is signed wrongly')
    return code
  } catch (error) {
    if (error instanceof RangeError) throw new DnsProviderError('the answer of the name server cannot be read', error)
    throw error
  }
}

interface Tsig {
  start: number
  seconds: number
  fudge: number
  mac: Buffer
  originalId: number
  error: number
  other: Buffer
}

/** The last record if it is a TSIG signature; else null. */
function findTsig(message: Buffer): Tsig | null {
  let at = headerBytes
  for (let i = 0; i < message.readUInt16BE(4); i++) at = skipName(message, at) + 4
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  for (let i = 0; i < records; i++) {
    const start = at
    const fixed = skipName(message, at)
    const dataAt = fixed + 10
    at = dataAt + message.readUInt16BE(fixed + 8)
    if (i === records - 1 && message.readUInt16BE(fixed) === typeTsig) return readTsig(message, start, dataAt)
  }
  return null
}

function readTsig(message: Buffer, start: number, dataAt: number): Tsig {
  const at = skipName(message, dataAt)
  const macLength = message.readUInt16BE(at + 8)
  const after = at + 10 + macLength
  const otherLength = message.readUInt16BE(after + 4)
  return {
    start,
    seconds: message.readUIntBE(at, 6),
    fudge: message.readUInt16BE(at + 6),
    mac: message.subarray(at + 10, after),
    originalId: message.readUInt16BE(after),
    error: message.readUInt16BE(after + 2),
    other: message.subarray(after + 6, after + 6 + otherLength),
  }
}
