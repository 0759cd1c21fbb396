import { checkResponseHeader, cleanHeaderValue } from '@/shared/rules/response-headers'
import { type CompiledHeaders, matchRule } from '@/shared/rules/rules'
import type { HeaderEdits } from '../gate/gate'
import type { RequestView } from './request-view'
import type { RuleIndex } from './rule-index'

const maxCombinations = 512
/** Fields appended to those of the app; all other fields replace the app's. */
const added = new Set(['set-cookie', 'vary', 'link'])

type Headers = [string, string][]

/** `Strict-Transport-Security` as edits; one shared object per max-age. */
export class TransportSecurity {
  readonly #edits = new Map<number, HeaderEdits>()

  for(seconds: number): HeaderEdits {
    let edits = this.#edits.get(seconds)
    if (!edits) {
      edits = { remove: [], set: [['Strict-Transport-Security', `max-age=${seconds}`]], append: [] }
      this.#edits.set(seconds, edits)
    }
    return edits
  }
}

/**
 * Headers that rules add to an answer. The same rules return the same object, so engines can cache its encoded bytes; only values that
 * contain captures are computed per request.
 */
export class ResponseEdits {
  readonly #index: RuleIndex<CompiledHeaders>
  readonly #combinations = new Map<string, HeaderEdits>()

  constructor(index: RuleIndex<CompiledHeaders>) {
    this.#index = index
  }

  /** `hstsSeconds` null: plain HTTP. Returns null when no header is added. */
  for(view: RequestView, path: string, hstsSeconds: number | null): HeaderEdits | null {
    let key = hstsSeconds === null ? '' : `h${hstsSeconds}`
    let constant = true
    const matched: { rule: CompiledHeaders; captures: ReadonlyMap<string, string> }[] = []
    for (const { order, rule } of this.#index.candidates(path)) {
      const captures = matchRule(rule, path, view, view.budget)
      if (captures === null) continue
      matched.push({ rule, captures })
      key += ` ${order}`
      constant &&= rule.headers.every((header) => header.value.names.length === 0)
    }
    if (key === '') return null
    const known = constant ? this.#combinations.get(key) : undefined
    if (known) return known
    const made = makeEdits(matched, hstsSeconds)
    if (constant && this.#combinations.size < maxCombinations) this.#combinations.set(key, made)
    return made
  }
}

function makeEdits(matched: { rule: CompiledHeaders; captures: ReadonlyMap<string, string> }[], hstsSeconds: number | null): HeaderEdits {
  const set = new Map<string, [string, string]>()
  const append: Headers = []
  if (hstsSeconds !== null) set.set('strict-transport-security', ['Strict-Transport-Security', `max-age=${hstsSeconds}`])
  for (const { rule, captures } of matched) {
    const ofRule = new Map<string, [string, string]>()
    for (const { key, value } of rule.headers) {
      const text = cleanHeaderValue(value.render(captures) ?? '')
      checkResponseHeader(key, text)
      const name = key.toLowerCase()
      const before = ofRule.get(name)
      if (added.has(name)) append.push([key, text])
      else ofRule.set(name, [key, before ? `${before[1]}, ${text}` : text])
    }
    // A later rule wins over an earlier one.
    for (const [name, pair] of ofRule) set.set(name, pair)
  }
  return { remove: [], set: [...set.values()], append }
}

/** Combines two edits; the second is applied after the first. */
export function joinEdits(first: HeaderEdits | null, second: HeaderEdits | null): HeaderEdits | null {
  if (first === null || second === null) return first ?? second
  const replaced = new Set([...second.remove, ...second.set.map(([name]) => name.toLowerCase())])
  return {
    remove: [...new Set([...first.remove, ...second.remove])],
    set: [...first.set.filter(([name]) => !replaced.has(name.toLowerCase())), ...second.set],
    append: [...first.append, ...second.append],
  }
}
