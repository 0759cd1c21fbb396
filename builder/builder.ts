import type { BuildPlan, BuildSettings, DetectionReport } from '@/shared/build-plan'
import type { LogRecord } from '@/shared/logs'
import type { ProjectRules } from '@/shared/project-rules'
import type { Artifact, ResourceLimits } from '@/shared/release'

export interface GitCredentials {
  username: string
  password: string
}

/** The source of a build. */
export type SourceSpec =
  | {
      kind: 'git'
      /** https or ssh URL; with `allowPrivateNetwork` also http and git URLs. */
      url: string
      /** Branch, tag or full commit id; null: the default branch. */
      ref: string | null
      /** Allows private and loopback addresses, for operators only. Link-local addresses (metadata services) are never allowed. */
      allowPrivateNetwork: boolean
      /** Credentials of a private repository, used for one fetch and never stored with the other fields. */
      credentials?: GitCredentials | null
    }
  | { kind: 'archive' /** Digest in `storage/` of a tar or tar.gz. */; digest: string }

/** An unpacked source on disk. */
export interface SourceTree {
  directory: string
  /** Identity of the content (like `rev-parse HEAD^{tree}`): equal trees have equal ids. */
  treeId: string
  commit: { sha: string; message: string; author: string; branch: string | null } | null
  sizeBytes: number
  fileCount: number
}

/** `prepare`: creates the base images, once per machine; reported only if the build must wait for it. */
export type BuildStep = 'source' | 'detect' | 'prepare' | 'install' | 'build' | 'package'

export interface BuildEvents {
  onLog(line: Omit<LogRecord, 'at'>): void
  /** Called when the source is fetched, so that users see the commit. */
  onSource?(source: Pick<SourceTree, 'commit'>): Promise<void>
  /** Called when the plan is made, so that users see the remaining steps. */
  onPlan?(plan: BuildPlan): Promise<void>
  /** Awaited, because a step is recorded before its side effect. */
  onStepStart(step: BuildStep): Promise<void>
  onStepEnd(step: BuildStep, outcome: { status: 'done' | 'failed' | 'canceled'; detail?: string; cached?: boolean }): Promise<void>
}

export interface BuildRequest {
  installationId: string
  teamId: string
  projectId: string
  projectSlug: string
  deploymentId: string
  source: SourceSpec
  settings: BuildSettings
  /** Build variables, including secrets. They are set in the environment of the build and never appear in layers, logs or plain cache keys. */
  env: Record<string, string>
  /** An image for the docker runtime, a bundle for the process runtime. */
  target: 'image' | 'bundle'
  limits: ResourceLimits & { timeoutMs: number }
  /** Ignores results, installed packages and caches of earlier builds. */
  noCache?: boolean
  /** The source comes from a stranger: its working directory, HOME and caches are kept apart, under this name, from those of the project. */
  isolatedAs?: string | null
  /** Finds an existing artifact of this project with the same key, which is returned without building. */
  reuse: (buildKey: string) => Promise<Artifact | null>
}

export interface BuildOutcome {
  artifact: Artifact
  plan: BuildPlan
  report: DetectionReport
  source: Pick<SourceTree, 'treeId' | 'commit' | 'sizeBytes' | 'fileCount'>
  /** sha256 over tree, settings, hashed build variables, base image and builder version. */
  buildKey: string
  reused: boolean
  /** Rules in the files of the source (`vercel.json`, `_redirects`, …). */
  edgePolicy: Partial<ProjectRules>
}

/**
 * Builds artifacts from sources. Throws AppError: ERR_SOURCE, ERR_DETECT, ERR_BUILD, ERR_BUILD_LIMIT (memory, time, processes, log),
 * ERR_CANCELED.
 */
export interface Builder {
  /** Fetches a source and reports what would be built, for the page of a new project. */
  inspect(
    source: SourceSpec,
    settings: BuildSettings,
    signal?: AbortSignal,
  ): Promise<{ report: DetectionReport; plan: BuildPlan; commit: SourceTree['commit'] }>
  /**
   * Head of a branch of a project's repository as it is now; of its default branch for null. null: there is no such branch.
   * @throws AppError ERR_SOURCE when the repository does not answer
   */
  readHead(
    projectId: string,
    source: Extract<SourceSpec, { kind: 'git' }>,
    branch: string | null,
    signal: AbortSignal,
  ): Promise<{ sha: string; branch: string | null } | null>
  build(request: BuildRequest, events: BuildEvents, signal: AbortSignal): Promise<BuildOutcome>
  artifactExists(artifact: Artifact): Promise<boolean>
  /** Streams the artifact's files as a zip. */
  download(artifact: Artifact): Promise<NodeJS.ReadableStream>
  /**
   * Streams the artifact's files as a tar, with names relative to its root. Destroy the stream to stop early.
   * @throws ERR_NOT_FOUND when the artifact was removed, ERR_UNAVAILABLE without the engine that stores it
   */
  files(artifact: Artifact): Promise<NodeJS.ReadableStream>
  removeArtifact(artifact: Artifact): Promise<void>
  /** Removes containers, processes and directories of an interrupted build. */
  cleanUp(deploymentId: string): Promise<void>
  removeProject(projectId: string): Promise<void>
  /** Removes the caches of a project's builds. Returns the freed bytes. @throws ERR_CONFLICT while a build uses them */
  clearCache(projectId: string): Promise<number>
}
