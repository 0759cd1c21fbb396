import type { App, Match, Provider } from '../provider'

const names = ['Dockerfile', 'Containerfile', 'dockerfile']

/** Instructions of a Dockerfile without comments, with joined continuation lines. */
function instructions(text: string): { keyword: string; rest: string }[] {
  const joined = text.replace(/^\s*#.*$/gm, '').replace(/[\\`][ \t]*\r?\n/g, ' ')
  return joined.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*([A-Za-z]+)\s+(.*)$/.exec(line)
    return match ? [{ keyword: (match[1] ?? '').toUpperCase(), rest: (match[2] ?? '').trim() }] : []
  })
}

function assignments(rest: string): [string, string][] {
  const legacy = /^(\w+)\s+([^=]+)$/.exec(rest)
  if (legacy) return [[legacy[1] ?? '', (legacy[2] ?? '').trim()]]
  return [...rest.matchAll(/(\w+)=(?:"([^"]*)"|'([^']*)'|(\S*))/g)].map((match) => [match[1] ?? '', match[2] ?? match[3] ?? match[4] ?? ''])
}

const expand = (text: string, values: Map<string, string>) =>
  text.replace(
    /\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))/g,
    (_, braced?: string, fallback?: string, bare?: string) => values.get(braced ?? bare ?? '') ?? fallback ?? '',
  )

/** TCP port of the final stage's first EXPOSE; resolves variables of ARG and ENV. */
export function exposedPort(text: string): number | null {
  const values = new Map<string, string>()
  let port: number | null = null
  for (const { keyword, rest } of instructions(text)) {
    if (keyword === 'FROM') port = null
    if (keyword === 'ARG' || keyword === 'ENV') for (const [name, value] of assignments(rest)) values.set(name, expand(value, values))
    if (keyword !== 'EXPOSE' || port !== null) continue
    const first = expand(rest, values)
      .split(/\s+/)
      .find((word) => /^\d{1,5}(\/tcp|-\d{1,5})?$/i.test(word))
    const number = Number.parseInt(first ?? '', 10)
    if (number >= 1 && number <= 65_535) port = number
  }
  return port
}

async function match(app: App): Promise<Match | null> {
  const { settings } = app
  // Explicit commands or an output directory have no meaning for a Dockerfile, so they select another provider.
  if (settings.installCommand !== null || settings.buildCommand !== null || settings.startCommand !== null || settings.outputDirectory !== null)
    return null
  for (const file of names) {
    const text = await app.files.read(file)
    if (text === null || !instructions(text).some(({ keyword }) => keyword === 'FROM')) continue
    const port = exposedPort(text)
    return {
      framework: 'dockerfile',
      title: 'Dockerfile',
      shape: { kind: 'dockerfile', file, port },
      buildCommand: null,
      buildEnv: {},
      startCommand: null,
      outputDirectory: null,
      evidence: [{ file, found: port === null ? 'a Dockerfile' : `a Dockerfile that exposes port ${port}` }],
      warnings: port === null ? [`${file} has no EXPOSE: port 3000 is expected, and given to the app as PORT`] : [],
    }
  }
  return null
}

export const dockerfile: Provider = { name: 'Dockerfile', looksFor: 'a Dockerfile', match }
