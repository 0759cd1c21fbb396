import { hopByHop } from '../hop-by-hop'
import { ExpressionProblem } from './expression'

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const valueText = /^[\t\x20-\x7e\x80-\xff]*$/

/** Headers that rules may not set: they frame the message, are hop-by-hop (RFC 9110 §7.6.1), or belong to the router. */
const reserved = new Set([...hopByHop, 'content-length', 'content-range', 'date', 'host', 'x-request-id'])

/** @throws ExpressionProblem when a rule may not set this header. */
export function checkResponseHeader(key: string, value: string): void {
  if (!token.test(key)) throw new ExpressionProblem(`"${key.slice(0, 100)}" is no name of a header`)
  if (reserved.has(key.toLowerCase())) throw new ExpressionProblem(`the header ${key} is not set by rules`)
  if (!valueText.test(value)) throw new ExpressionProblem(`the value of ${key} has characters that no header may have`)
}

/** Makes text from a request valid as a header value. */
export function cleanHeaderValue(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '')
}
