import {
  type App,
  buildCommandOf,
  cleanDirectory,
  hasDependency,
  isToolingServer,
  type Match,
  optionOf,
  type Provider,
  readConfig,
  titleOf,
} from '../provider'

/** Frameworks that build with Vite but need a server or use another output directory. */
export const viteFrameworks = [
  'astro',
  'nuxt',
  'vike',
  'vite-plugin-ssr',
  'vitepress',
  '@sveltejs/kit',
  '@react-router/dev',
  '@remix-run/dev',
  '@solidjs/start',
  'solid-start',
  '@tanstack/react-start',
  '@tanstack/solid-start',
  '@builder.io/qwik-city',
  '@analogjs/platform',
]

async function match(app: App): Promise<Match | null> {
  const scripts = app.packageJson?.scripts ?? {}
  const config = await readConfig(app, 'vite.config')
  const builds =
    /\bvite\b.*\bbuild\b/.test(scripts.build ?? '') || (scripts.build === undefined && (config !== null || (await app.files.isFile('index.html'))))
  if (!(hasDependency(app, 'vite') || hasDependency(app, 'rolldown-vite')) || app.settings.startCommand !== null) return null
  // Vite without a Vite build is used for something else, usually Vitest.
  if (!builds && config === null) return null
  if (viteFrameworks.some((name) => hasDependency(app, name))) return null
  // An app with its own server (an API that also serves Vite's output) is a Node server.
  if (scripts.start !== undefined && !isToolingServer(scripts.start) && app.settings.outputDirectory === null) return null
  const flag = /--outDir[ =]+["']?([^\s"']+)/.exec(scripts.build ?? '')?.[1]
  const detected = cleanDirectory(flag ?? optionOf(config?.text ?? '', 'outDir') ?? 'dist') || 'dist'
  const outputDirectory = app.settings.outputDirectory ?? detected
  const hasNotFoundPage = await app.files.isFile('public/404.html')
  return {
    framework: 'vite',
    title: titleOf(app, 'Vite', hasDependency(app, 'vite') ? 'vite' : 'rolldown-vite'),
    shape: { kind: 'static-build', outputDirectory, spaFallback: !hasNotFoundPage, cacheDirectories: [] },
    buildCommand: buildCommandOf(app, 'vite build'),
    buildEnv: {},
    startCommand: null,
    outputDirectory,
    evidence: [
      { file: 'package.json', found: 'vite in the dependencies' },
      ...(config ? [{ file: config.file, found: 'configuration of Vite' }] : []),
    ],
    warnings: [],
  }
}

export const vite: Provider = { name: 'Vite', looksFor: 'vite in the dependencies of package.json', match }
