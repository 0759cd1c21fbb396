import { METHODS } from 'node:http'

/** Methods by their bytes as text. SOURCE belongs to ICE, which Node's parser also reads. */
const known = new Map(METHODS.filter((method) => method !== 'SOURCE').map((method) => [method, method]))

/** No method is longer; bytes. */
export const longestMethod = 20

/** The method in these bytes, or undefined when HTTP knows none of this name. Common ones make no string. */
export function methodOf(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start
  if (length === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) return 'GET'
  if (length === 4 && bytes[start] === 80 && bytes[start + 1] === 79 && bytes[start + 2] === 83 && bytes[start + 3] === 84) return 'POST'
  if (length === 4 && bytes[start] === 72 && bytes[start + 1] === 69 && bytes[start + 2] === 65 && bytes[start + 3] === 68) return 'HEAD'
  return length > longestMethod ? undefined : known.get(bytes.toString('latin1', start, end))
}
