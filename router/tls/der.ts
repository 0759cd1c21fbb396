/** As much of DER (X.690) as OCSP needs: definite lengths below 16 MiB, tags of one byte. */
export interface Der {
  tag: number
  /** Tag and length included. */
  whole: Buffer
  content: Buffer
}

/** The element at `at`. @throws RangeError on bytes that are cut short or no DER. */
export function readDer(bytes: Buffer, at = 0): Der {
  const tag = bytes.readUInt8(at)
  if ((tag & 0x1f) === 0x1f) throw new RangeError('a tag of more than one byte')
  const first = bytes.readUInt8(at + 1)
  let start = at + 2
  let length = first
  if (first >= 0x80) {
    const width = first & 0x7f
    if (width === 0 || width > 3) throw new RangeError('a length of another form')
    length = bytes.readUIntBE(start, width)
    start += width
  }
  if (start + length > bytes.length) throw new RangeError('cut short')
  return { tag, whole: bytes.subarray(at, start + length), content: bytes.subarray(start, start + length) }
}

/** The elements within a constructed one. */
export function childrenOf(element: Der): Der[] {
  const children: Der[] = []
  for (let at = 0; at < element.content.length; ) {
    const child = readDer(element.content, at)
    children.push(child)
    at += child.whole.length
  }
  return children
}

export function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

/** GeneralizedTime as OCSP writes it (RFC 6960 §4.2.2.1): `YYYYMMDDHHMMSSZ`; ms since 1970, NaN when it is none. */
export function readTime({ tag, content }: Der): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(content.toString('latin1')) ?? []
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  return tag === 0x18 && parts.length === 6 ? Date.UTC(year, month - 1, day, hour, minute, second) : Number.NaN
}
