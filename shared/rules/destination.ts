import { ExpressionProblem } from './expression'
import type { Captures } from './pattern'
import { compileTemplate, type Template } from './template'

/** Where a redirect or a rewrite leads, made ready. */
export interface Destination {
  readonly kind: 'path' | 'absolute' | 'project'
  /** Whether any parameter is used: vercel.json gives a rewrite those in the query when none is. */
  readonly usesParameters: boolean
  /**
   * The request's query (with `?`, or empty) is kept; what the destination itself says about a key wins.
   * null: a captured text cannot stand where it is used, the rule does not apply.
   */
  render(values: Captures, query: string): Rendered | null
}

export interface Rendered {
  scheme: 'http' | 'https'
  /** Hostname and port of an absolute address; hostname of a project; else empty. */
  authority: string
  /** Begins with exactly one `/`. */
  path: string
  /** With `?`, or empty. */
  query: string
  /** With `#`, or empty. */
  hash: string
}

/** `project:<host>/path`; the control plane writes the project's hostname for its slug. */
export const projectDestination = /^project:([^/?#]+)([/?#].*)?$/

/** Heads are written as latin1, where the low byte of a letter like č would end the line. */
const notAscii = /[^\x21-\x7e]+/g

/** @throws ExpressionProblem */
export function compileDestination(text: string, known: ReadonlySet<string>): Destination {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x20\x7f\\]/.test(text)) throw new ExpressionProblem('a destination has no spaces, control characters or backslashes')
  const { kind, scheme, authority, rest } = split(text)
  const sent = rest.replace(notAscii, (signs) => encodeURIComponent(signs.toWellFormed()))
  // `/b/:x?` is an optional parameter, `/b/:x?y=1` one with a query after it.
  const [, path = '', query = '', hash = ''] = /^((?::\w+\?(?=[/#]|$)|[^?#])*)(\?[^#]*)?(#.*)?$/.exec(sent) ?? []
  const templates = {
    authority: compileTemplate(authority, known, 'authority'),
    path: compileTemplate(path || '/', known, 'path'),
    query: compileTemplate(query.slice(1), known, 'query'),
    hash: compileTemplate(hash, known, 'query'),
  }
  const ownKeys = queryKeys(query)
  return {
    kind,
    usesParameters: Object.values(templates).some((template) => template.names.length > 0),
    render: (values, asked) => render(templates, values, ownKeys.size === 0 ? asked : withoutKeys(asked, ownKeys), scheme),
  }
}

function split(text: string): { kind: Destination['kind']; scheme: 'http' | 'https'; authority: string; rest: string } {
  const absolute = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(text)
  if (absolute?.[1] && absolute[2]) {
    if (absolute[2].includes('@')) throw new ExpressionProblem('a destination carries no user name')
    return { kind: 'absolute', scheme: absolute[1].toLowerCase() === 'https' ? 'https' : 'http', authority: absolute[2], rest: absolute[3] ?? '' }
  }
  const project = projectDestination.exec(text)
  if (project?.[1]) return { kind: 'project', scheme: 'http', authority: project[1], rest: project[2] ?? '/' }
  if (!text.startsWith('/') && !/^:[A-Za-z_]|^\$\d/.test(text))
    throw new ExpressionProblem(`a destination is a path, an http(s) address or project:<slug>/path, not "${text.slice(0, 100)}"`)
  return { kind: 'path', scheme: 'http', authority: '', rest: text }
}

function render(
  templates: Record<'authority' | 'path' | 'query' | 'hash', Template>,
  values: Captures,
  kept: string,
  scheme: 'http' | 'https',
): Rendered | null {
  const authority = templates.authority.render(values)
  const path = templates.path.render(values)
  const own = templates.query.render(values)
  if (authority === null || path === null || own === null) return null
  const pairs = [own, kept.replace(/^\?/, '')].filter((part) => part !== '')
  return {
    scheme,
    authority,
    // Two slashes would name another host in a Location header (RFC 3986 §4.2).
    path: `/${path.replace(/^(?:\/|%5C)+/i, '')}`,
    query: pairs.length > 0 ? `?${pairs.join('&')}` : '',
    hash: templates.hash.render(values) ?? '',
  }
}

function queryKeys(query: string): ReadonlySet<string> {
  return new Set(
    query
      .slice(1)
      .split('&')
      .filter((pair) => pair !== '')
      .map(keyOf),
  )
}

const keyOf = (pair: string): string => {
  const equals = pair.indexOf('=')
  return decodeQuery(equals === -1 ? pair : pair.slice(0, equals))
}

/** One name or value of a query as text; what is no UTF-8 stays as it is. */
export function decodeQuery(text: string): string {
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

function withoutKeys(query: string, keys: ReadonlySet<string>): string {
  if (query.length < 2) return ''
  const kept = query
    .slice(1)
    .split('&')
    .filter((pair) => !keys.has(keyOf(pair)))
  return kept.length > 0 ? `?${kept.join('&')}` : ''
}
