/** Classes of bytes in an HTTP/1.1 head (RFC 9110 §5.5, §5.6.2; RFC 3986): 1 where the byte belongs, 0 where it does not. */

function bytesOf(text: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let i = 0; i < text.length; i++) table[text.charCodeAt(i)] = 1
  return table
}

function bytesWhere(belongs: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (belongs(byte) ? 1 : 0))
}

/** tchar: names of headers and methods. */
export const tokenByte = bytesOf("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
/** field-vchar, obs-text, space and tab: no NUL, no CR, no LF, no other control byte. */
export const valueByte = bytesWhere((byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f))
/** Printable ASCII but `#`: a fragment never goes over the wire, anything else must be percent-encoded. */
export const targetByte = bytesWhere((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x23)
/** The value of a hexadecimal digit; 255 for any other byte. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(digit) ? 255 : digit
})
/** ASCII letters in lower case, any other byte as it is. */
export const lowerByte = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte))

export const CR = 13
export const LF = 10
export const SPACE = 32
export const TAB = 9
export const COLON = 58
export const COMMA = 44

/** Whether the bytes from `start` on spell `name`, given in lower case, in any case. The caller has compared the lengths. */
export function spells(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (lowerByte[bytes[start + i] as number] !== name[i]) return false
  return true
}

/** Lower-case ASCII text as bytes, to compare with. */
export const nameBytes = (name: string): Uint8Array => Uint8Array.from(Buffer.from(name, 'latin1'))
