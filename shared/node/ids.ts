import { randomInt } from 'node:crypto'
import { deploymentIdLength } from '../naming'

const letters = 'abcdefghijklmnopqrstuvwxyz'
const alphabet = `${letters}0123456789`

/** Random identifier of `deploymentIdLength` lower-case letters and digits, beginning with a letter: safe in hostnames, file and container names (~61 bits). */
export function newId(): string {
  let id = letters.charAt(randomInt(letters.length))
  while (id.length < deploymentIdLength) id += alphabet.charAt(randomInt(alphabet.length))
  return id
}
