import type { Captures } from './pattern'

type Part = string | { name: string; optional: boolean }
export type Encoding = 'authority' | 'path' | 'query' | 'plain'

/** Compiled text with references such as `:name` and `$1`. */
export interface Template {
  /** Names that the text refers to. */
  readonly names: readonly string[]
  /** null: a value is invalid in this place (a slash in a hostname, for example). */
  render(values: Captures): string | null
}

/** Matches `:name`, `:name*`, `:name(pattern)`, `$1`, `$name`. */
const reference = /:([A-Za-z_]\w*)(\((?:[^()\\]|\\.){0,200}\))?([*+?])?|\$(?:(\d{1,3})|([A-Za-z_]\w*)|\{(\w{1,100})\})/g

/**
 * Compiles a text. Only names in `known` are references: `http://host:8080` and prices stay unchanged. `$1` is the first unnamed parameter, or
 * the first of all parameters, as in vercel.json.
 */
export function compileTemplate(text: string, known: ReadonlySet<string>, encoding: Encoding): Template {
  const parts: Part[] = []
  let last = 0
  for (const found of text.matchAll(reference)) {
    const name = found[1] ?? (found[4] !== undefined ? `$${found[4]}` : (found[5] ?? found[6]))
    if (name === undefined || !known.has(name)) continue
    parts.push(text.slice(last, found.index))
    parts.push({ name, optional: found[3] === '*' || found[3] === '?' })
    last = found.index + found[0].length
  }
  parts.push(text.slice(last))
  const constant = parts.length === 1 ? text : null
  return {
    names: parts.flatMap((part) => (typeof part === 'string' ? [] : [part.name])),
    render: (values) => (constant !== null ? constant : renderParts(parts, values, encoding)),
  }
}

function renderParts(parts: readonly Part[], values: Captures, encoding: Encoding): string | null {
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const value = values.get(part.name) ?? ''
    // `/docs/:path*` without a path is `/docs`.
    if (value === '' && part.optional && encoding === 'path' && text.endsWith('/') && text.length > 1) text = text.slice(0, -1)
    else if (encoding === 'authority' && !/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(value)) return null
    else text += encode(value, encoding)
  }
  return text
}

function encode(value: string, encoding: Encoding): string {
  if (encoding === 'path') return encodePath(value)
  return encoding === 'query' ? encodeURIComponent(value.toWellFormed()) : value
}

/** Percent-encodes a decoded path; keeps `%2F`, which stayed encoded when the path was decoded. */
export function encodePath(path: string): string {
  if (/^[\w/.~!$&'()*+,;=:@-]*$/.test(path)) return path
  return encodeURI(path.toWellFormed())
    .replace(/[?#[\]\\]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%25(2F|5C)/gi, '%$1')
}

/**
 * The path that rules match: decoded, except for an encoded slash or backslash, which must not become a separator; `.` and `..` resolved,
 * because the app resolves them too. Invalid UTF-8 stays encoded.
 */
export function decodePath(path: string): string {
  let decoded = path
  if (path.includes('%')) {
    try {
      decoded = decodeURIComponent(path.replace(/%(2f|5c)/gi, '%25$1'))
    } catch {
      decoded = path
    }
  }
  return decoded.includes('/.') ? withoutDots(decoded) : decoded
}

function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  for (const [i, segment] of segments.entries()) {
    const dots = segment === '.' || segment === '..'
    if (segment === '..') kept.pop()
    if (!dots) kept.push(segment)
    else if (i === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}
