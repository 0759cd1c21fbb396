import type { TreeFiles } from '@/builder/tree-files'
import type { PackageJson } from './package-json'

export const supportedNodeMajors = [20, 22, 24, 26] as const
export const defaultNodeMajor = 24

const codenames: Record<string, number> = { iron: 20, jod: 22, krypton: 24 }
const highest = Number.POSITIVE_INFINITY

/** Half-open range of major versions: `from <= major < below`. */
interface Span {
  from: number
  below: number
}

/**
 * Major versions that one comparator of an npm range allows; null: unreadable. Minor versions are ignored, because the newest of a major is
 * installed.
 */
function spanOf(comparator: string): Span | null {
  const match = /^(\^|~>?|>=|<=|>|<|=)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?/.exec(comparator)
  if (!match) return null
  const [, operator = '', majorText = '', minorText, patchText] = match
  if (/^[xX*]$/.test(majorText)) return { from: 0, below: highest }
  const major = Number(majorText)
  const isWholeMajor = !/[1-9]/.test(`${minorText ?? ''}${patchText ?? ''}`)
  if (operator === '>=') return { from: major, below: highest }
  if (operator === '>') return { from: minorText === undefined ? major + 1 : major, below: highest }
  if (operator === '<') return { from: 0, below: isWholeMajor ? major : major + 1 }
  if (operator === '<=') return { from: 0, below: major + 1 }
  return { from: major, below: major + 1 }
}

/** Supported major versions within an `engines.node` range; null: unreadable. */
export function majorsWithin(range: string): number[] | null {
  const allowed = new Set<number>()
  for (const alternative of range.slice(0, 256).split('||')) {
    const hyphen = /^\s*v?(\d+)[^\s]*\s+-\s+v?(\d+)/.exec(alternative)
    const text = hyphen ? `>=${hyphen[1]} <=${hyphen[2]}` : alternative.trim().replace(/([<>=^~]+)\s+/g, '$1')
    const spans = (text === '' ? ['*'] : text.split(/[\s,]+/)).map(spanOf)
    if (spans.some((span) => span === null)) return null
    for (const major of supportedNodeMajors) if (spans.every((span) => span !== null && span.from <= major && major < span.below)) allowed.add(major)
  }
  return [...allowed].sort((a, b) => a - b)
}

/** Major version in a version file; null: "node", "lts/*", aliases and invalid text. */
export function majorOf(text: string): number | null {
  const wanted = text.trim().split(/\s/)[0] ?? ''
  const codename = /^lts\/([a-z]+)$/i.exec(wanted)?.[1]?.toLowerCase()
  if (codename) return codenames[codename] ?? null
  const major = /^v?(\d{1,3})(\.|$)/.exec(wanted)?.[1]
  return major === undefined ? null : Number(major)
}

export interface NodeChoice {
  major: number
  evidence: { file: string; found: string }[]
  warnings: string[]
}

async function readPreference(files: TreeFiles, packageJson: PackageJson | null): Promise<{ file: string; found: string; major: number } | null> {
  const candidates: [string, string | null | undefined][] = [
    ['.node-version', await files.read('.node-version', 4096)],
    ['.nvmrc', await files.read('.nvmrc', 4096)],
    ['.tool-versions', /^node(?:js)?[ \t]+(\S+)/m.exec((await files.read('.tool-versions', 16_384)) ?? '')?.[1]],
    ['package.json', packageJson?.voltaNode],
  ]
  for (const [file, text] of candidates) {
    if (!text) continue
    const major = majorOf(text)
    if (major !== null) return { file, found: `Node ${text.trim().slice(0, 40)}`, major }
  }
  return null
}

const nearest = (major: number) => supportedNodeMajors.find((supported) => supported >= major) ?? 26

/** Chooses the Node version: `engines.node` limits the choice, a version file selects within it, else the newest long-term release that fits. */
export async function chooseNode(files: TreeFiles, packageJson: PackageJson | null): Promise<NodeChoice> {
  const choice: NodeChoice = { major: defaultNodeMajor, evidence: [], warnings: [] }
  const range = packageJson?.engines.node
  let allowed: number[] = [...supportedNodeMajors]
  if (range !== undefined) {
    const within = majorsWithin(range)
    choice.evidence.push({ file: 'package.json', found: `engines.node ${range.slice(0, 60)}` })
    if (within === null) choice.warnings.push(`engines.node “${range.slice(0, 60)}” could not be read; Node ${defaultNodeMajor} is used`)
    else if (within.length > 0) allowed = within
    else {
      choice.major = nearest(majorOf(range.replace(/^[^\d]*/, '')) ?? defaultNodeMajor)
      choice.warnings.push(
        `No supported Node version fits engines.node “${range.slice(0, 60)}”; Node ${choice.major} is used (supported: ${supportedNodeMajors.join(', ')})`,
      )
      return choice
    }
  }
  const preference = await readPreference(files, packageJson)
  if (preference) choice.evidence.push({ file: preference.file, found: preference.found })
  if (preference && allowed.includes(preference.major)) choice.major = preference.major
  else {
    choice.major = allowed.includes(defaultNodeMajor) ? defaultNodeMajor : (allowed.at(-1) ?? defaultNodeMajor)
    if (preference) {
      const supported = (supportedNodeMajors as readonly number[]).includes(preference.major)
      if (!supported && range === undefined) choice.major = nearest(preference.major)
      choice.warnings.push(
        `${preference.found} of ${preference.file} ${supported ? 'contradicts engines.node' : 'is not supported'}; Node ${choice.major} is used`,
      )
    }
  }
  return choice
}
