/** A build plan is data: it can be printed, snapshot-tested and compared without an engine. `builder/plan` makes it, `builder/execute` runs it. */

export type Framework = 'nextjs' | 'vite' | 'static' | 'node' | 'dockerfile'
export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'none'

/** What becomes of parts of a source that are kept elsewhere: they are fetched, or left as the repository has them. */
export const elsewhereChoices = ['fetch', 'ignore'] as const
export type Elsewhere = (typeof elsewhereChoices)[number]

/** As stored; what is not known counts as the default. */
export const elsewhereOf = (stored: string): Elsewhere => elsewhereChoices.find((choice) => choice === stored) ?? 'fetch'

/** What a project may override; `null` means "as detected". */
export interface BuildSettings {
  rootDirectory: string | null
  installCommand: string | null
  buildCommand: string | null
  startCommand: string | null
  outputDirectory: string | null
  /** Submodules of a Git repository. */
  submodules: Elsewhere
  /** Files that Git LFS keeps. */
  lfs: Elsewhere
}
export const noSettings: BuildSettings = {
  rootDirectory: null,
  installCommand: null,
  buildCommand: null,
  startCommand: null,
  outputDirectory: null,
  submodules: 'fetch',
  lfs: 'fetch',
}

/** One command of a build. The command line is the user's own and runs by `sh -c` INSIDE the sandbox, never on the control plane. */
export interface PlanCommand {
  step: 'install' | 'build'
  command: string
  /** Directories, relative to the root directory, kept between builds of the project because this command is faster with them. */
  cacheDirectories: string[]
  /** Files whose content decides whether `install` can be skipped (lock file, package.json, .npmrc …), relative to the root directory (`../…` in a workspace, as for `cacheDirectories`). Empty: never skip. */
  cacheKeyFiles: string[]
}

/** How the artifact is assembled: `from` relative to the root directory (`../…` up to the top of the tree in a workspace), `to` relative to the artifact's root. */
export interface PlanOutput {
  from: string
  to: string
  /** Names left out below `from` ("node_modules/.cache"). */
  exclude: string[]
}

export interface StartSpec {
  /** Run inside the artifact's root. `PORT` and `HOST`/`HOSTNAME` are set. An argv of ["sh","-c",…] for the user's own start command. */
  argv: string[]
  env: Record<string, string>
}

export interface BuildPlan {
  version: 1
  framework: Framework
  /** For people: "Next.js 16.4.5, npm, Node 24". */
  summary: string
  packageManager: PackageManager
  /** A version or range of the npm package ("9.15.0", "10"); Yarn from 2 on is `@yarnpkg/cli-dist`. Null: the one that comes with Node. */
  packageManagerVersion: string | null
  nodeMajor: number
  rootDirectory: string
  commands: PlanCommand[]
  /** Non-secret variables of the build itself (CI=1, NEXT_TELEMETRY_DISABLED=1 …). */
  buildEnv: Record<string, string>
  outputs: PlanOutput[]
  start: StartSpec
  /** Port an image listens on (EXPOSE of a Dockerfile), else 3000 through `PORT`. */
  port: number
  healthCheckPath: string
  /** Only for framework `dockerfile`: path relative to the root directory. */
  dockerfile: string | null
  /** Served by the platform's own static server; `spaFallback` answers index.html for unknown paths that look like pages. */
  staticSite: { directory: string; spaFallback: boolean } | null
  /** Next.js under a server of the app's own: its output in the artifact, whose caches are kept in the writable place of a release. */
  nextDirectory?: string
}

/** What was looked for and found: shown before the first build and when detection fails. */
export interface DetectionReport {
  framework: Framework | null
  settings: { installCommand: string | null; buildCommand: string | null; startCommand: string | null; outputDirectory: string | null }
  packageManager: PackageManager
  nodeMajor: number
  summary: string
  evidence: { file: string; found: string }[]
  warnings: string[]
}
