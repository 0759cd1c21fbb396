import { hopByHop } from '@/shared/hop-by-hop'
import { isUntrusted, untrustedNames, untrustedPrefixes } from '../../headers/untrusted-names'
import { COMMA, nameBytes, SPACE, spells, TAB } from './tables'

/** Meaning of a header line for the router; all other lines are only forwarded. */
export const plain = 0
/** Hop-by-hop (RFC 9110 §7.6.1), or reserved to proxies. */
export const ends = 1
export const host = 2
export const connection = 3
export const contentLength = 4
export const transferEncoding = 5
export const expect = 6
export const upgrade = 7
export const date = 8

type Meaning = number

/** Groups names by length, so that most lines are dismissed by comparing a number. */
function byLength(names: Record<string, Meaning>): { name: Uint8Array; meaning: Meaning }[][] {
  const table: { name: Uint8Array; meaning: Meaning }[][] = Array.from({ length: 32 }, () => [])
  for (const [name, meaning] of Object.entries(names)) table[name.length]?.push({ name: nameBytes(name), meaning })
  return table
}

const shared = {
  ...Object.fromEntries(hopByHop.map((name) => [name, ends])),
  connection,
  'content-length': contentLength,
  'transfer-encoding': transferEncoding,
  upgrade,
  'x-request-id': ends,
}
const requestNames = byLength({
  ...shared,
  host,
  expect,
  ...Object.fromEntries(untrustedNames.map((name) => [name, ends])),
  // Names that `isUntrusted` covers although they are in neither list.
  content_length: ends,
  transfer_encoding: ends,
})
const answerNames = byLength({ ...shared, date })

const forwardedPrefix = nameBytes(untrustedPrefixes[0])
const internalPrefix = nameBytes(untrustedPrefixes[1])
const none: { name: Uint8Array; meaning: Meaning }[] = []
const UNDERSCORE = 95
/** 1: an untrusted name starts with this letter, so a name with an underscore may be another spelling of it. */
const firstOfUntrusted = new Uint8Array(256)
for (const name of [...untrustedNames, ...untrustedPrefixes]) if (name.includes('-')) firstOfUntrusted[name.charCodeAt(0)] = 1

function look(table: { name: Uint8Array; meaning: Meaning }[][], bytes: Uint8Array, start: number, length: number): Meaning {
  const candidates = table[length] ?? none
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as { name: Uint8Array; meaning: Meaning }
    if (spells(bytes, start, candidate.name)) return candidate.meaning
  }
  return plain
}

/** Meaning of a request's header name. Many servers read `X_Real_IP` as `X-Real-IP`: an untrusted name is cut in both spellings. */
export function requestMeaning(bytes: Buffer, start: number, end: number): Meaning {
  const length = end - start
  const meaning = look(requestNames, bytes, start, length)
  if (meaning !== plain) return meaning
  const first = (bytes[start] as number) | 32
  if (firstOfUntrusted[first] === 0) return plain
  if (first === 120 && length >= forwardedPrefix.length) {
    if (spells(bytes, start, forwardedPrefix)) return ends
    if (length >= internalPrefix.length && spells(bytes, start, internalPrefix)) return ends
  }
  for (let i = start; i < end; i++) if (bytes[i] === UNDERSCORE) return isUntrusted(bytes.toString('latin1', start, end).toLowerCase()) ? ends : plain
  return plain
}

/** Meaning of an answer's header name. */
export function answerMeaning(bytes: Buffer, start: number, end: number): Meaning {
  const length = end - start
  const meaning = look(answerNames, bytes, start, length)
  if (meaning !== plain) return meaning
  return length >= internalPrefix.length && spells(bytes, start, internalPrefix) ? ends : plain
}

const closeName = nameBytes('close')
const keepAliveName = nameBytes('keep-alive')
const upgradeName = nameBytes('upgrade')

/** Options of a Connection header; shared object, valid until the next call. */
const said = { close: false, keepAlive: false, upgrade: false, nominates: false }

/** Reads the list of a Connection value. Anything but the three known options nominates a header line (RFC 9110 §7.6.1). */
export function readConnection(bytes: Uint8Array, start: number, end: number): Readonly<typeof said> {
  said.close = false
  said.keepAlive = false
  said.upgrade = false
  said.nominates = false
  let i = start
  while (i < end) {
    while (i < end && (bytes[i] === COMMA || bytes[i] === SPACE || bytes[i] === TAB)) i++
    const from = i
    while (i < end && bytes[i] !== COMMA) i++
    let to = i
    while (to > from && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--
    if (to > from) note(bytes, from, to)
  }
  return said
}

function note(bytes: Uint8Array, from: number, to: number): void {
  const length = to - from
  if (length === closeName.length && spells(bytes, from, closeName)) said.close = true
  else if (length === keepAliveName.length && spells(bytes, from, keepAliveName)) said.keepAlive = true
  else if (length === upgradeName.length && spells(bytes, from, upgradeName)) said.upgrade = true
  else said.nominates = true
}
