import {
  type App,
  buildCommandOf,
  cleanDirectory,
  hasDependency,
  type Match,
  optionOf,
  type Provider,
  readConfig,
  titleOf,
  versionOf,
} from '../provider'
import { startOf } from '../start-script'

const buildEnv = { NEXT_TELEMETRY_DISABLED: '1' }
/** Oldest Next.js with stable standalone output. */
const oldestStandalone = 13

/** Whether the app has its own server. `next start` does not count, because standalone output replaces it. */
function ownServer(app: App): boolean {
  if (app.settings.startCommand !== null) return true
  const script = app.packageJson?.scripts.start
  return script !== undefined && !/^(npx\s+)?((cross-env\s+)?\w+=\S+\s+)*(npx\s+)?next(\s+(start|dev)\b|$)/.test(script.trim())
}

async function match(app: App): Promise<Match | null> {
  if (!hasDependency(app, 'next')) return null
  const config = await readConfig(app, 'next.config')
  const distDirectory = cleanDirectory(optionOf(config?.text ?? '', 'distDir') ?? '.next') || '.next'
  const isExport = optionOf(config?.text ?? '', 'output') === 'export'
  const match: Match = {
    framework: 'nextjs',
    title: titleOf(app, 'Next.js', 'next'),
    shape: { kind: 'next-standalone', distDirectory },
    buildCommand: buildCommandOf(app, 'next build'),
    buildEnv,
    startCommand: null,
    outputDirectory: null,
    evidence: [{ file: 'package.json', found: `next ${app.packageJson?.dependencies.next ?? ''}` }],
    warnings: [],
  }
  if (isExport && app.settings.startCommand === null) {
    const outputDirectory = distDirectory === '.next' ? 'out' : distDirectory
    match.evidence.push({ file: config?.file ?? 'next.config', found: "output: 'export'" })
    return { ...match, outputDirectory, shape: { kind: 'static-build', outputDirectory, spaFallback: false, cacheDirectories: ['.next/cache'] } }
  }
  if (app.settings.outputDirectory !== null)
    match.warnings.push('The output directory is not used: Next.js runs as a server (set output: "export" for static files)')
  const major = Number.parseInt(versionOf(app, 'next'), 10)
  if (ownServer(app) || major < oldestStandalone) {
    const { evidence, ...start } = startOf(app) ?? { before: [], command: 'next start', entry: null, env: {}, evidence: [] }
    match.evidence.push(...evidence)
    return {
      ...match,
      startCommand: start.command,
      shape: { kind: 'node', start, cacheDirectories: [`${distDirectory}/cache`], nextDirectory: distDirectory },
    }
  }
  return { ...match, buildEnv: { ...buildEnv, NEXT_PRIVATE_STANDALONE: 'true' }, startCommand: 'next start' }
}

export const nextjs: Provider = { name: 'Next.js', looksFor: 'next in the dependencies of package.json', match }
