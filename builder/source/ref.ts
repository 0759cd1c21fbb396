import { showName, sourceError } from './problem'

export type Ref =
  | { kind: 'default' }
  | { kind: 'commit'; sha: string }
  | { kind: 'name' /** Full names, most wanted first. */; candidates: string[]; shown: string }

/** Rules of `git check-ref-format`, and no leading dash, so that an invalid name never reaches a command line. */
export function isRefName(name: string): boolean {
  if (name.length === 0 || name.length > 250 || name.startsWith('-') || name === '@') return false
  for (const char of name) {
    const code = char.charCodeAt(0)
    if (code <= 32 || code === 127) return false
  }
  if (/[~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$/.test(name)) return false
  return name.split('/').every((part) => part.length > 0 && !part.startsWith('.') && !part.startsWith('-') && !part.endsWith('.lock'))
}

/** Parses a branch, a tag, a full ref name or a full commit id. @throws AppError ERR_SOURCE */
export function parseRef(ref: string | null): Ref {
  if (ref === null || ref === '' || ref === 'HEAD') return { kind: 'default' }
  if (/^([0-9a-f]{40}|[0-9a-f]{64})$/i.test(ref)) return { kind: 'commit', sha: ref.toLowerCase() }
  if (!isRefName(ref))
    throw sourceError(`“${showName(ref)}” is not a valid name of a branch, tag or commit`, 'Use the name of a branch or a tag, or a full commit id.')
  if (ref.startsWith('refs/')) return { kind: 'name', candidates: [ref], shown: ref }
  return nameRef(ref)
}

/** A branch with this name, else a tag. */
export const nameRef = (name: string): Ref => ({ kind: 'name', candidates: [`refs/heads/${name}`, `refs/tags/${name}`], shown: name })
