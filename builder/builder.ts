import type { BuildPlan, BuildSettings, DetectionReport } from '@/shared/build-plan'
import type { LogRecord } from '@/shared/logs'
import type { ProjectRules } from '@/shared/project-rules'
import type { Artifact, ResourceLimits } from '@/shared/release'

export interface GitCredentials {
  username: string
  password: string
}

/** Where the files come from. */
export type SourceSpec =
  | {
      kind: 'git'
      /** https, ssh or, where `allowPrivateNetwork`, http and git URLs. */
      url: string
      /** Branch, tag or full commit id; `null` is the default branch. */
      ref: string | null
      /** Operators may fetch from private and loopback addresses; link-local (metadata services) never. */
      allowPrivateNetwork: boolean
      /** What opens a private repository. Joined for one fetch and never stored with the rest. */
      credentials?: GitCredentials | null
    }
  | { kind: 'archive' /** Digest in `storage/` of a tar or tar.gz. */; digest: string }

/** A tree on disk, unpacked. */
export interface SourceTree {
  directory: string
  /** `rev-parse HEAD^{tree}`-like identity of the content: equal trees, equal id. */
  treeId: string
  commit: { sha: string; message: string; author: string; branch: string | null } | null
  sizeBytes: number
  fileCount: number
}

/** `prepare`: the images a build starts from are made, once a machine; there only when it has to be waited for. */
export type BuildStep = 'source' | 'detect' | 'prepare' | 'install' | 'build' | 'package'

export interface BuildEvents {
  onLog(line: Omit<LogRecord, 'at'>): void
  /** As soon as the source is there: people see which commit is being built, and which one failed. */
  onSource?(source: Pick<SourceTree, 'commit'>): Promise<void>
  /** As soon as it is known what the build will do: people see the steps to come. */
  onPlan?(plan: BuildPlan): Promise<void>
  /** Awaited: a step is recorded before its side effect. */
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
  /** Build-scope variables, secrets included. They reach the build's environment, no layer, no cache key in clear, no log. */
  env: Record<string, string>
  /** An image for the docker runtime, a bundle for processes. */
  target: 'image' | 'bundle'
  limits: ResourceLimits & { timeoutMs: number }
  /** Nothing of earlier builds is used: no result, no installed packages, no cache of a package manager or of the engine. */
  noCache?: boolean
  /** An artifact of an earlier build of this project with the same key is returned without building when it still exists. */
  reuse: (buildKey: string) => Promise<Artifact | null>
}

export interface BuildOutcome {
  artifact: Artifact
  plan: BuildPlan
  report: DetectionReport
  source: Pick<SourceTree, 'treeId' | 'commit' | 'sizeBytes' | 'fileCount'>
  /** sha256 over tree, settings, build variables (hashed), base image and builder version. */
  buildKey: string
  reused: boolean
  /** What the source's own files ask of the edge (`vercel.json`, `_redirects`, …). */
  edgePolicy: Partial<ProjectRules>
}

/** source → artifact. Throws AppError: ERR_SOURCE, ERR_DETECT, ERR_BUILD, ERR_BUILD_LIMIT (memory, time, processes, log), ERR_CANCELED. */
export interface Builder {
  /** Fetches a source and says what would be built, without building: for the new-project page. */
  inspect(
    source: SourceSpec,
    settings: BuildSettings,
    signal?: AbortSignal,
  ): Promise<{ report: DetectionReport; plan: BuildPlan; commit: SourceTree['commit'] }>
  build(request: BuildRequest, events: BuildEvents, signal: AbortSignal): Promise<BuildOutcome>
  artifactExists(artifact: Artifact): Promise<boolean>
  /** Zip of what the artifact holds (application/zip), streamed. */
  download(artifact: Artifact): Promise<NodeJS.ReadableStream>
  /**
   * The same as a tar stream, entries as the artifact has them, names relative to its root. To be destroyed by who stops early.
   * @throws ERR_NOT_FOUND when the artifact is gone, ERR_UNAVAILABLE without the engine that holds it
   */
  files(artifact: Artifact): Promise<NodeJS.ReadableStream>
  removeArtifact(artifact: Artifact): Promise<void>
  /** Removes containers, processes and work directories of a build that was interrupted. */
  cleanUp(deploymentId: string): Promise<void>
  removeProject(projectId: string): Promise<void>
  /** Removes what builds of the project kept to be faster. Returns the bytes that frees. @throws ERR_CONFLICT while a build uses it */
  clearCache(projectId: string): Promise<number>
}
