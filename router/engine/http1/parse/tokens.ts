import { COMMA, nameBytes, SPACE, spells, TAB } from './tables'

const closeName = nameBytes('close')
const keepAliveName = nameBytes('keep-alive')
const upgradeName = nameBytes('upgrade')

/** What a Connection header says; one object for all, valid until the next call. */
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
