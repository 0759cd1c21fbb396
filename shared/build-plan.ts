/** A build plan is data: it can be printed, snapshot-tested and compared without an engine. `builder/plan` creates it, `builder/execute` runs it. */

export type Framework = 'nextjs' | 'vite' | 'static' | 'node' | 'dockerfile'
export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'none'

/** What happens to parts of a source that are stored elsewhere: `fetch` them, or `ignore` them. */
export const elsewhereChoices = ['fetch', 'ignore'] as const
export type Elsewhere = (typeof elsewhereChoices)[number]

/** Reads a stored value; unknown values count as the default. */
export const elsewhereOf = (stored: string): Elsewhere => elsewhereChoices.find((choice) => choice === stored) ?? 'fetch'

/** Build settings of a project; null: detected. */
export interface BuildSettings {
  rootDirectory: string | null
  installCommand: string | null
  buildCommand: string | null
  startCommand: string | null
  outputDirectory: string | null
  /** Submodules of a Git repository. */
  submodules: Elsewhere
  /** Files in Git LFS. */
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

/** One command of a build. The command line comes from the user and runs with `sh -c` inside the sandbox, never on the control plane. */
export interface PlanCommand {
  step: 'install' | 'build'
  command: string
  /** Directories relative to the root directory that are cached between builds, because they make this command faster. */
  cacheDirectories: string[]
  /**
   * Files that decide whether `install` can be skipped (lock file, package.json, .npmrc …), relative to the root directory (`../…` in a
   * workspace). Empty: never skip.
   */
  cacheKeyFiles: string[]
}

/** A part of the artifact: `from` is relative to the root directory (in a workspace up to the top of the tree), `to` to the artifact's root. */
export interface PlanOutput {
  from: string
  to: string
  /** Names below `from` that are not copied ("node_modules/.cache"). */
  exclude: string[]
}

export interface StartSpec {
  /** Runs in the artifact's root with `PORT`, `HOST` and `HOSTNAME`. ["sh","-c",…] for the user's own start command. */
  argv: string[]
  env: Record<string, string>
}

export interface BuildPlan {
  version: 1
  framework: Framework
  /** Shown to users: "Next.js 16.4.5, npm, Node 24". */
  summary: string
  packageManager: PackageManager
  /** Version or range of the npm package ("9.15.0", "10"); Yarn 2 and later is `@yarnpkg/cli-dist`. null: the version that Node includes. */
  packageManagerVersion: string | null
  /** The start command calls pnpm or Yarn: the one of the build becomes part of the artifact. */
  packageManagerAtStart?: true
  nodeMajor: number
  rootDirectory: string
  commands: PlanCommand[]
  /** Non-secret variables of the build (CI=1, NEXT_TELEMETRY_DISABLED=1 …). */
  buildEnv: Record<string, string>
  outputs: PlanOutput[]
  start: StartSpec
  /** Port an image listens on (EXPOSE of a Dockerfile), else 3000 through `PORT`. */
  port: number
  healthCheckPath: string
  /** Path relative to the root directory; only for framework `dockerfile`. */
  dockerfile: string | null
  /** Served by the platform's static server. `spaFallback`: unknown paths that look like pages get index.html. */
  staticSite: { directory: string; spaFallback: boolean } | null
  /** Output directory of Next.js in the artifact, if the app has its own server: its caches are moved to the writable directory of the release. */
  nextDirectory?: string
}

/** What detection searched and found; shown before the first build and when detection fails. */
export interface DetectionReport {
  framework: Framework | null
  settings: { installCommand: string | null; buildCommand: string | null; startCommand: string | null; outputDirectory: string | null }
  packageManager: PackageManager
  nodeMajor: number
  summary: string
  evidence: { file: string; found: string }[]
  warnings: string[]
}
