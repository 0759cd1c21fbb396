import { type App, buildCommandOf, isToolingServer, type Match, type Provider } from '../provider'

async function match(app: App): Promise<Match | null> {
  const { files, settings, packageJson } = app
  if (settings.startCommand !== null) return null
  const start = packageJson?.scripts.start
  if (start !== undefined && !isToolingServer(start)) return null
  const candidates = settings.outputDirectory === null ? ['', 'public', 'site', 'www'] : [settings.outputDirectory]
  for (const directory of candidates) {
    const file = directory === '' ? 'index.html' : `${directory}/index.html`
    if (!(await files.isFile(file))) continue
    return {
      framework: 'static',
      title: 'Plain HTML',
      shape: { kind: 'html', directory, spaFallback: false },
      buildCommand: buildCommandOf(app, null),
      buildEnv: {},
      startCommand: null,
      outputDirectory: directory === '' ? null : directory,
      evidence: [{ file, found: 'a page' }],
      warnings:
        packageJson?.scripts.build !== undefined
          ? ['The build script belongs to no known site builder: set the output directory when it writes elsewhere']
          : [],
    }
  }
  return null
}

export const html: Provider = { name: 'Plain HTML', looksFor: 'an index.html', match }
