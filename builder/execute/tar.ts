import { Buffer } from 'node:buffer'

/** Header fields of a tar entry, without owner names and devices, so that equal trees give equal archives. */
export interface TarHeader {
  /** Relative path without a trailing slash. */
  name: string
  type: 'file' | 'directory' | 'symlink'
  mode: number
  size: number
  linkname?: string
  /** In seconds. */
  mtime?: number
}

export interface TarOwner {
  uid: number
  gid: number
}

const block = 512
const typeFlags = { file: '0', directory: '5', symlink: '2' } as const
/** 1980-01-01, the earliest time in a zip. */
export const epochSeconds = 315_532_800
export const tarEnd: Buffer = Buffer.alloc(2 * block)

/** Size of an entry with header and padding. */
export function tarEntrySize(header: TarHeader): number {
  return paxOf(header).length + block + roundUp(header.type === 'file' ? header.size : 0)
}

export function tarPadding(size: number): Buffer {
  return Buffer.alloc(roundUp(size) - size)
}

/** Header of an entry, preceded by a PAX record if ustar is not sufficient (POSIX.1-2017, pax interchange format). */
export function tarHeader(header: TarHeader, owner: TarOwner): Buffer {
  const name = header.type === 'directory' ? `${header.name}/` : header.name
  const main = ustar(cut(name), typeFlags[header.type], { ...header, linkname: cut(header.linkname ?? '') }, owner)
  const pax = paxOf(header)
  return pax.length === 0 ? main : Buffer.concat([pax, main])
}

function paxOf(header: TarHeader): Buffer {
  const name = header.type === 'directory' ? `${header.name}/` : header.name
  const records = [
    record('path', name),
    record('linkpath', header.linkname ?? ''),
    header.size > 0o77777777777 ? paxRecord('size', String(header.size)) : '',
  ].join('')
  if (records === '') return Buffer.alloc(0)
  const body = Buffer.from(records)
  const head = ustar('PaxHeader', 'x', { mode: 0o644, size: body.length }, { uid: 0, gid: 0 })
  return Buffer.concat([head, body, tarPadding(body.length)])
}

// Creates a PAX record for a value that ustar cannot hold (more than 100 bytes, or not ASCII).
function record(key: string, value: string): string {
  return Buffer.byteLength(value) > 100 || !/^[\x20-\x7e]*$/.test(value) ? paxRecord(key, value) : ''
}

// The length prefix includes its own digits, so try until it fits.
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = Buffer.byteLength(rest) + 1
  while (Buffer.byteLength(`${length}${rest}`) !== length) length = Buffer.byteLength(`${length}${rest}`)
  return `${length}${rest}`
}

const cut = (text: string): string => Buffer.from(text).subarray(0, 100).toString('latin1')
const roundUp = (size: number): number => Math.ceil(size / block) * block

function ustar(name: string, flag: string, entry: { mode: number; size: number; linkname?: string; mtime?: number }, owner: TarOwner): Buffer {
  const buffer = Buffer.alloc(block)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  buffer.write(name, 0, 'latin1')
  buffer.write(octal(entry.mode, 8), 100)
  buffer.write(octal(owner.uid, 8), 108)
  buffer.write(octal(owner.gid, 8), 116)
  buffer.write(octal(flag === '0' || flag === 'x' ? Math.min(entry.size, 0o77777777777) : 0, 12), 124)
  buffer.write(octal(entry.mtime ?? epochSeconds, 12), 136)
  buffer.write('        ', 148)
  buffer.write(flag, 156)
  buffer.write(entry.linkname ?? '', 157, 'latin1')
  buffer.write('ustar\x0000', 257)
  let sum = 0
  for (const byte of buffer) sum += byte
  buffer.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return buffer
}
