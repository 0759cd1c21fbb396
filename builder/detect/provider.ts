import type { TreeFiles } from '@/builder/tree-files'
import type { BuildSettings, Framework } from '@/shared/build-plan'
import type { Shape } from './detection'
import type { PackageJson } from './package-json'
import type { PackagesChoice } from './packages'

/** Input of a provider. Paths of `files` are relative to the root directory. */
export interface App {
  files: TreeFiles
  packageJson: PackageJson | null
  packages: PackagesChoice
  settings: BuildSettings
}

export interface Match {
  framework: Framework
  /** "Next.js 16.4.5" */
  title: string
  shape: Shape
  buildCommand: string | null
  buildEnv: Record<string, string>
  /** Shown to users; the actual start is in the shape. */
  startCommand: string | null
  outputDirectory: string | null
  evidence: { file: string; found: string }[]
  warnings: string[]
}

/** Recognises one kind of app. The first provider that matches decides. */
export interface Provider {
  name: string
  /** Part of the error when no provider matches: "next in the dependencies of package.json". */
  looksFor: string
  match(app: App): Promise<Match | null>
}

export const hasDependency = (app: App, name: string): boolean => app.packageJson?.dependencies[name] !== undefined

/** Locked version of a dependency, else the version in its range, else ''. */
export function versionOf(app: App, name: string): string {
  const range = app.packageJson?.dependencies[name] ?? ''
  return app.packages.locked(name) ?? /^[~^>=v\s]*(\d+(?:\.\d+){0,2}(?:-[\w.]+)?)$/.exec(range)?.[1] ?? ''
}
export const titleOf = (app: App, title: string, dependency: string): string => `${title} ${versionOf(app, dependency)}`.trim()

/** The build script with the project's package manager, else `fallback` (a binary of a dependency), run without network access. */
export function buildCommandOf(app: App, fallback: string | null): string | null {
  const { manager } = app.packages
  if (app.packageJson?.scripts.build !== undefined) return `${manager === 'none' ? 'npm' : manager} run build`
  if (fallback === null) return null
  if (manager === 'pnpm') return `pnpm exec ${fallback}`
  if (manager === 'yarn') return `yarn run ${fallback}`
  return `npx --no-install ${fallback}`
}

/** Text of the first existing configuration file without comments, so that commented-out options have no effect. */
export async function readConfig(
  app: App,
  base: string,
  extensions = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'],
): Promise<{ file: string; text: string } | null> {
  for (const extension of extensions) {
    const file = `${base}.${extension}`
    const text = await app.files.read(file, 256 * 1024)
    if (text !== null) return { file, text: withoutComments(text) }
  }
  return null
}

/** Matches strings too, so that "https://…" is not taken for a comment. */
export function withoutComments(text: string): string {
  // Each alternative also matches an unclosed string or comment at the end of the text; otherwise it would be retried from every position.
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*(?:`|$))|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g,
    (_, literal?: string) => literal ?? ' ',
  )
}

/** Value of an option `key: 'value'` in a configuration file. */
export function optionOf(text: string, key: string): string | null {
  return new RegExp(`(?:^|[\\s{,'"])${key}['"]?\\s{0,9}:\\s{0,9}['"\`]([^'"\`\\n]{1,200})['"\`]`).exec(text)?.[1] ?? null
}

/** Whether a script only serves files or runs a development server: a static build replaces it by the platform's server. */
export function isToolingServer(script: string): boolean {
  return /^(npx\s+)?(cross-env\s+\S+\s+)?(vite(\s+(dev|serve|preview)\b|\s+-|$)|astro\s+(dev|preview|start)|react-scripts\s+start|vue-cli-service\s+serve|ng\s+serve|gatsby\s+(develop|serve|start)|eleventy\b.*--serve|hexo\s+s(erver)?\b|docusaurus\s+(start|serve)|vitepress\s+(dev|preview|serve)|parcel(\s+serve)?\b|webpack\s+serve|webpack-dev-server|http-server|live-server|serve\b|sirv\b|svelte-kit\s+(dev|preview)|(npm|pnpm|yarn)(\s+run)?\s+(dev|preview)$)/.test(
    script.trim(),
  )
}

/** A relative directory within the app, without leading `./`; null: invalid or outside. */
export function cleanDirectory(text: string): string | null {
  if (text.includes('\0') || text.includes('\\') || text.startsWith('/')) return null
  const parts = text
    .trim()
    .split('/')
    .filter((part) => part !== '' && part !== '.')
  return parts.includes('..') ? null : parts.join('/')
}
