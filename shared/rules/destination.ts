import { ExpressionProblem } from './expression'
import type { Captures } from './pattern'
import { compileTemplate, type Template } from './template'

/** Compiled destination of a redirect or a rewrite. */
export interface Destination {
  readonly kind: 'path' | 'absolute' | 'project'
  /** Whether the destination uses any parameter. If not, a rewrite appends the parameters to the query, as in vercel.json. */
  readonly usesParameters: boolean
  /**
   * Renders the destination. Keeps the request's query (with `?`, or empty), except keys that the destination sets. null: a captured value is
   * invalid where it is used, so the rule does not apply.
   */
  render(values: Captures, query: string): Rendered | null
}

export interface Rendered {
  scheme: 'http' | 'https'
  /** Hostname and port of an absolute URL; hostname of a project; else empty. */
  authority: string
  /** Starts with exactly one `/`. */
  path: string
  /** With leading `?`, or empty. */
  query: string
  /** With leading `#`, or empty. */
  hash: string
}

/** Matches `project:<host>/path`. The control plane replaces the project's slug by its hostname. */
export const projectDestination = /^project:([^/?#]+)([/?#].*)?$/

/** Characters that must be encoded: response heads are written as latin1, which would truncate a character such as č to a control byte. */
const notAscii = /[^\x21-\x7e]+/g

/** @throws ExpressionProblem */
export function compileDestination(text: string, known: ReadonlySet<string>): Destination {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x20\x7f\\]/.test(text)) throw new ExpressionProblem('a destination has no spaces, control characters or backslashes')
  const { kind, scheme, authority, rest } = split(text)
  const sent = rest.replace(notAscii, (signs) => encodeURIComponent(signs.toWellFormed()))
  // `/b/:x?` is an optional parameter; `/b/:x?y=1` is a parameter followed by a query.
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
    // In a Location header, two slashes would start another host (RFC 3986 §4.2).
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

/** Decodes a query name or value; invalid UTF-8 stays encoded. */
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
