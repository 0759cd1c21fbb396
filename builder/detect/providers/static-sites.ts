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

/** A generator of static files, and its output directory. */
interface SiteBuilder {
  title: string
  dependency: string
  defaultBuild: string
  output: (app: App) => Promise<string | null>
  spaFallback: boolean
  /** Whether the app needs a Node server despite the dependency. */
  needsServer?: (app: App) => Promise<boolean>
}

const always = (directory: string) => async () => directory

async function angularOutput(app: App): Promise<string | null> {
  const text = await app.files.read('angular.json')
  const target = /"outputPath"\s{0,9}:\s{0,9}(?:"([^"]{1,200})"|\{[^}]{0,300}?"base"\s{0,9}:\s{0,9}"([^"]{1,200})")/.exec(text ?? '')
  const output = target?.[1] ?? target?.[2]
  // Angular's application builder (17 and later) writes the browser's files one level deeper.
  const isApplication = /@angular(?:-devkit)?\/build(?:-angular)?:application/.test(text ?? '')
  const base = output ?? `dist/${app.packageJson?.name ?? 'app'}`
  return isApplication ? `${base}/browser` : base
}

async function vitepressOutput(app: App): Promise<string | null> {
  for (const directory of ['docs/', '']) if (await app.files.isDirectory(`${directory}.vitepress`)) return `${directory}.vitepress/dist`
  return null
}

async function hexoOutput(app: App): Promise<string> {
  const config = (await app.files.read('_config.yml')) ?? (await app.files.read('_config.yaml')) ?? ''
  return /^public_dir:[ \t]{0,9}["']?([^"'#\s][^"'#\r\n]{0,199})/m.exec(config)?.[1] ?? 'public'
}

async function astroNeedsServer(app: App): Promise<boolean> {
  const config = await readConfig(app, 'astro.config')
  return optionOf(config?.text ?? '', 'output') === 'server' || /\badapter\s*:/.test(config?.text ?? '')
}

const reactRouterIsSpa = async (app: App) => /\bssr\s*:\s*false/.test((await readConfig(app, 'react-router.config'))?.text ?? '')
const generates = async (app: App) => /\bnuxt(i)?\s+generate\b/.test(app.packageJson?.scripts.build ?? '')

const builders: SiteBuilder[] = [
  { title: 'Astro', dependency: 'astro', defaultBuild: 'astro build', output: always('dist'), spaFallback: false, needsServer: astroNeedsServer },
  { title: 'SvelteKit (static)', dependency: '@sveltejs/adapter-static', defaultBuild: 'vite build', output: always('build'), spaFallback: false },
  {
    title: 'React Router (single page)',
    dependency: '@react-router/dev',
    defaultBuild: 'react-router build',
    output: always('build/client'),
    spaFallback: true,
    needsServer: async (app) => !(await reactRouterIsSpa(app)),
  },
  {
    title: 'Nuxt (generated)',
    dependency: 'nuxt',
    defaultBuild: 'nuxt generate',
    output: always('.output/public'),
    spaFallback: false,
    needsServer: async (app) => !(await generates(app)),
  },
  { title: 'VitePress', dependency: 'vitepress', defaultBuild: 'vitepress build', output: vitepressOutput, spaFallback: false },
  { title: 'Create React App', dependency: 'react-scripts', defaultBuild: 'react-scripts build', output: always('build'), spaFallback: true },
  { title: 'Vue CLI', dependency: '@vue/cli-service', defaultBuild: 'vue-cli-service build', output: always('dist'), spaFallback: true },
  {
    title: 'Angular',
    dependency: '@angular/core',
    defaultBuild: 'ng build',
    output: angularOutput,
    spaFallback: true,
    needsServer: async (app) => hasDependency(app, '@angular/ssr'),
  },
  { title: 'Gatsby', dependency: 'gatsby', defaultBuild: 'gatsby build', output: always('public'), spaFallback: false },
  { title: 'Docusaurus', dependency: '@docusaurus/core', defaultBuild: 'docusaurus build', output: always('build'), spaFallback: false },
  { title: 'Eleventy', dependency: '@11ty/eleventy', defaultBuild: 'eleventy', output: always('_site'), spaFallback: false },
  { title: 'Hexo', dependency: 'hexo', defaultBuild: 'hexo generate', output: hexoOutput, spaFallback: false },
  { title: 'Parcel', dependency: 'parcel', defaultBuild: 'parcel build', output: always('dist'), spaFallback: true },
]

async function match(app: App): Promise<Match | null> {
  const { settings } = app
  if (!app.packageJson || settings.startCommand !== null) return null
  const start = app.packageJson.scripts.start
  const hasOwnServer = start !== undefined && !isToolingServer(start)
  for (const builder of builders) {
    if (!hasDependency(app, builder.dependency)) continue
    if ((hasOwnServer && settings.outputDirectory === null) || (await builder.needsServer?.(app))) continue
    const detected = await builder.output(app)
    const outputDirectory = settings.outputDirectory ?? (detected === null ? null : cleanDirectory(detected))
    if (!outputDirectory) continue
    const hasNotFoundPage = await app.files.isFile('public/404.html')
    return {
      framework: 'static',
      title: titleOf(app, builder.title, builder.dependency),
      shape: { kind: 'static-build', outputDirectory, spaFallback: builder.spaFallback && !hasNotFoundPage, cacheDirectories: [] },
      buildCommand: buildCommandOf(app, builder.defaultBuild),
      buildEnv: {},
      startCommand: null,
      outputDirectory,
      evidence: [{ file: 'package.json', found: `${builder.dependency} in the dependencies` }],
      warnings: [],
    }
  }
  return namedOutput(app, hasOwnServer)
}

/** An unknown tool with an output directory set by the user. */
function namedOutput(app: App, hasOwnServer: boolean): Match | null {
  const outputDirectory = app.settings.outputDirectory
  const build = app.settings.buildCommand ?? app.packageJson?.scripts.build
  if (outputDirectory === null || !build || hasOwnServer) return null
  return {
    framework: 'static',
    title: 'Static site',
    shape: { kind: 'static-build', outputDirectory, spaFallback: false, cacheDirectories: [] },
    buildCommand: buildCommandOf(app, null),
    buildEnv: {},
    startCommand: null,
    outputDirectory,
    evidence: [{ file: 'package.json', found: `build: ${build.slice(0, 120)}` }],
    warnings: [],
  }
}

export const staticSites: Provider = {
  name: 'Static site',
  looksFor: `a site builder (${builders.map(({ title }) => title.replace(/ \(.*/, '')).join(', ')})`,
  match,
}
