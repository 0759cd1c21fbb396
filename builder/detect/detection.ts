import type { DetectionReport, Framework, PackageManager } from '@/shared/build-plan'

/** How packages get installed, and what decides whether that can be skipped. Paths are relative to the root directory and may start with `../` in a workspace. */
export interface Packages {
  manager: PackageManager
  /** A version or range as npm understands it ("9.15.0", "10"); null is the one that comes with Node. Yarn from 2 on is `@yarnpkg/cli-dist`. */
  version: string | null
  /** Null when there is nothing to install. */
  installCommand: string | null
  /** Empty: never skip. */
  keyFiles: string[]
  moduleDirectories: string[]
  env: Record<string, string>
}

/** How a server starts: a shell text of its author, or a file for node. */
export interface NodeStart {
  /** Run to their end first (`prestart` of npm). */
  before: string[]
  command: string | null
  entry: string | null
  env: Record<string, string>
}

/** What kind of app it is, and only what the plan of that kind needs. */
export type Shape =
  | { kind: 'next-standalone'; distDirectory: string }
  | { kind: 'static-build'; outputDirectory: string; spaFallback: boolean; cacheDirectories: string[] }
  | { kind: 'html'; directory: string; spaFallback: boolean }
  | { kind: 'node'; start: NodeStart; cacheDirectories: string[] /** Where Next.js has built to, for a server of its own. */; nextDirectory?: string }
  | { kind: 'dockerfile'; file: string; port: number | null }

export interface Detection {
  framework: Framework
  shape: Shape
  /** Relative to the tree, '' is the tree itself. */
  rootDirectory: string
  /** From the root directory up to the workspace that owns it ("../..", '' when it stands alone). */
  workspaceRoot: string
  packages: Packages
  nodeMajor: number
  /** As detected, before the settings. */
  buildCommand: string | null
  buildEnv: Record<string, string>
  report: DetectionReport
}
