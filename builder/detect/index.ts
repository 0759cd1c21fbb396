import path from 'node:path'
import { openTree, type TreeFiles } from '@/builder/tree-files'
import type { BuildSettings, DetectionReport } from '@/shared/build-plan'
import type { AppError } from '@/shared/errors'
import type { Detection } from './detection'
import { chooseNode, type NodeChoice } from './node-version'
import { readPackageJson } from './package-json'
import { choosePackages, type PackagesChoice } from './packages'
import { detectError } from './problem'
import { type App, cleanDirectory, type Match, type Provider } from './provider'
import { dockerfile } from './providers/dockerfile'
import { html } from './providers/html'
import { nextjs } from './providers/nextjs'
import { nodeServer } from './providers/node-server'
import { staticSites } from './providers/static-sites'
import { vite } from './providers/vite'

export type { Detection, NodeStart, Packages, Shape } from './detection'

/** Providers in order of precedence, the most specific first. A page without a package.json comes before a stray index.js; see `providersFor`. */
const providers: Provider[] = [dockerfile, nextjs, staticSites, vite, nodeServer, html]

const otherLanguages: [string, string][] = [
  ['requirements.txt', 'Python'],
  ['pyproject.toml', 'Python'],
  ['go.mod', 'Go'],
  ['Gemfile', 'Ruby'],
  ['composer.json', 'PHP'],
  ['Cargo.toml', 'Rust'],
  ['pom.xml', 'Java'],
  ['mix.exs', 'Elixir'],
]

function checkedDirectory(setting: string | null, what: string): string | null {
  if (setting === null) return null
  const clean = cleanDirectory(setting)
  if (clean === null)
    throw detectError(
      `The ${what} must lie inside the project`,
      `Set the ${what} to a folder like “apps/web”, without a leading slash and without “..”.`,
    )
  return clean
}

/** An empty text in a form means "detected", except for commands, where it means "no command". */
function checkedSettings(settings: BuildSettings): BuildSettings & { rootDirectory: string } {
  return {
    ...settings,
    rootDirectory: checkedDirectory(settings.rootDirectory, 'root directory') ?? '',
    outputDirectory: checkedDirectory(settings.outputDirectory, 'output directory'),
    startCommand: settings.startCommand?.trim() ? settings.startCommand : null,
  }
}

/** Up to a dozen names (folders with a slash), for the message that nothing was recognised. */
async function listNames(files: TreeFiles): Promise<string[]> {
  const names = (await files.list('')).filter((name) => name !== 'node_modules').slice(0, 12)
  return Promise.all(names.map(async (name) => ((await files.isDirectory(name)) ? `${name}/` : name)))
}

async function nothingFound(files: TreeFiles, app: App): Promise<AppError> {
  const names = await listNames(files)
  const scripts = Object.keys(app.packageJson?.scripts ?? {})
  const found =
    names.length === 0 ? 'no files' : names.join(', ') + (app.packageJson ? ` (scripts: ${scripts.slice(0, 8).join(', ') || 'none'})` : '')
  const message = `This app was not recognised. Looked for: ${providers.map(({ looksFor }) => looksFor).join('; ')}. Found: ${found}.`
  const language = otherLanguages.find(([file]) => names.includes(file))?.[1]
  if (language) return detectError(message, `For ${language} add a Dockerfile to the project.`)
  const folders: string[] = []
  for (const name of names) {
    const folder = name.endsWith('/') ? name.slice(0, -1) : null
    if (
      folder &&
      ((await files.isFile(`${folder}/package.json`)) || (await files.isFile(`${folder}/index.html`)) || (await files.isFile(`${folder}/Dockerfile`)))
    )
      folders.push(folder)
  }
  if (!app.packageJson && folders.length > 0)
    return detectError(message, `Set the root directory of the project to where the app is: ${folders.join(' or ')}.`)
  return detectError(message, 'Set a start command for a server, or a build command and an output directory for a static site; or add a Dockerfile.')
}

/** Refuses commands of programs that no build image contains: they would fail with "not found". */
async function refuseOtherRuntimes({ files, packageJson, settings }: App): Promise<void> {
  const commands = [settings.installCommand, settings.buildCommand ?? packageJson?.scripts.build, settings.startCommand ?? packageJson?.scripts.start]
  const named = commands.map((command) => /(?:^|[;&|(]|\s)(bunx?|deno)\s/.exec(`${command ?? ''} `)?.[1]).find((found) => found !== undefined)
  const denoAlone = !packageJson && ((await files.isFile('deno.json')) || (await files.isFile('deno.jsonc')))
  const runtime = named?.startsWith('bun') ? 'Bun' : named === 'deno' || denoAlone ? 'Deno' : null
  if (runtime === null) return
  throw detectError(
    `This project runs on ${runtime}, and builds here have Node only.`,
    `Add a Dockerfile that starts from an image with ${runtime}, or make the build and start commands run on Node.`,
  )
}

function reportOf(match: Match, app: App, packages: PackagesChoice, node: NodeChoice): DetectionReport {
  const { settings } = app
  const isDocker = match.framework === 'dockerfile'
  const words = [match.title]
  if (!isDocker && packages.manager !== 'none') words.push(packages.manager, `Node ${node.major}`)
  return {
    framework: match.framework,
    settings: {
      installCommand: settings.installCommand ?? (isDocker ? null : packages.installCommand),
      buildCommand: settings.buildCommand ?? match.buildCommand,
      startCommand: settings.startCommand ?? match.startCommand,
      outputDirectory: settings.outputDirectory ?? match.outputDirectory,
    },
    packageManager: isDocker ? 'none' : packages.manager,
    nodeMajor: node.major,
    summary: words.join(', '),
    evidence: isDocker ? match.evidence : [...match.evidence, ...packages.evidence, ...node.evidence],
    warnings: isDocker ? match.warnings : [...match.warnings, ...packages.warnings, ...node.warnings],
  }
}

async function openRoot(directory: string, rootDirectory: string): Promise<{ tree: TreeFiles; files: TreeFiles }> {
  const tree = await openTree(directory)
  if (rootDirectory === '') return { tree, files: tree }
  if (!(await tree.isDirectory(rootDirectory))) {
    const folders = (await listNames(tree)).filter((name) => name.endsWith('/'))
    throw detectError(
      `The root directory “${rootDirectory}” does not exist`,
      folders.length > 0 ? `Set it to a folder that does: ${folders.join(', ')}` : 'Clear the root directory in the settings of the project.',
    )
  }
  return { tree, files: await openTree(path.join(directory, rootDirectory)) }
}

/**
 * Detects the framework and the build of the tree in `directory`. Reads files, runs nothing.
 * @throws AppError ERR_DETECT with the searched and found files and the setting that helps.
 */
export async function detect(directory: string, wanted: BuildSettings): Promise<Detection> {
  const settings = checkedSettings(wanted)
  const { rootDirectory } = settings
  const { tree, files } = await openRoot(directory, rootDirectory)
  // An image needs no package.json, so an invalid one must not prevent its build.
  const early: App = { files, packageJson: null, packages: await choosePackages(tree, rootDirectory, null), settings }
  const asImage = await dockerfile.match(early)
  const packageJson = asImage ? null : await readPackageJson(files)
  const packages = asImage ? early.packages : await choosePackages(tree, rootDirectory, packageJson)
  const node = await chooseNode(files, packageJson)
  const app: App = { ...early, packageJson, packages }
  if (!asImage) await refuseOtherRuntimes(app)
  let match = asImage
  for (const provider of providers) match ??= await provider.match(app)
  if (!match) throw await nothingFound(files, app)
  return {
    framework: match.framework,
    shape: match.shape,
    rootDirectory,
    workspaceRoot: packages.workspaceRoot,
    packages,
    nodeMajor: node.major,
    buildCommand: match.buildCommand,
    buildEnv: match.buildEnv,
    report: reportOf(match, app, packages, node),
  }
}
