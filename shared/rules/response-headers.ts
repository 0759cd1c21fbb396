import { hopByHop } from '../hop-by-hop'
import { ExpressionProblem } from './expression'

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const valueText = /^[\t\x20-\x7e\x80-\xff]*$/

/** Names a rule may not touch: they frame the message, belong to one connection (RFC 9110 §7.6.1), or are the router's own. */
const reserved = new Set([...hopByHop, 'content-length', 'content-range', 'date', 'host', 'x-request-id'])

/** @throws ExpressionProblem when a rule may not set this header. */
export function checkResponseHeader(key: string, value: string): void {
  if (!token.test(key)) throw new ExpressionProblem(`"${key.slice(0, 100)}" is no name of a header`)
  if (reserved.has(key.toLowerCase())) throw new ExpressionProblem(`the header ${key} is not set by rules`)
  if (!valueText.test(value)) throw new ExpressionProblem(`the value of ${key} has characters that no header may have`)
}

/** Text captured from a request, made fit for a header's value. */
export function cleanHeaderValue(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '')
}
