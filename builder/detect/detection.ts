import type { DetectionReport, Framework, PackageManager } from '@/shared/build-plan'

/**
 * How packages are installed, and when the install can be skipped. Paths are relative to the root directory; in a workspace they may start with
 * `../`.
 */
export interface Packages {
  manager: PackageManager
  /** npm version or range ("9.15.0", "10"); null: the version that Node includes. Yarn 2 and later is `@yarnpkg/cli-dist`. */
  version: string | null
  /** null: there is nothing to install. */
  installCommand: string | null
  /** Files that decide whether the install can be skipped; empty: never skip. */
  keyFiles: string[]
  moduleDirectories: string[]
  env: Record<string, string>
}

/** The start of a server: a shell command of the project, or a file for Node. */
export interface NodeStart {
  /** Commands that run to completion first (`prestart` of npm). */
  before: string[]
  command: string | null
  entry: string | null
  env: Record<string, string>
}

/** Kind of the app, with the facts that its plan needs. */
export type Shape =
  | { kind: 'next-standalone'; distDirectory: string }
  | { kind: 'static-build'; outputDirectory: string; spaFallback: boolean; cacheDirectories: string[] }
  | { kind: 'html'; directory: string; spaFallback: boolean }
  | { kind: 'node'; start: NodeStart; cacheDirectories: string[] /** Where Next.js has built to, for a server of its own. */; nextDirectory?: string }
  | { kind: 'dockerfile'; file: string; port: number | null }

export interface Detection {
  framework: Framework
  shape: Shape
  /** Relative to the tree; '' is the tree itself. */
  rootDirectory: string
  /** Path from the root directory up to the workspace that contains it ("../.."); '': no workspace. */
  workspaceRoot: string
  packages: Packages
  nodeMajor: number
  /** Detected command, before the settings are applied. */
  buildCommand: string | null
  buildEnv: Record<string, string>
  report: DetectionReport
}
