import { z } from 'zod'
import { elsewhereChoices } from './build-plan'
import { wholeNumberOr } from './query-number'
import { routingProblemList } from './routing-problems'
import { runtimeSettings, runtimeSettingsPatch } from './runtime-settings'
import { deploymentStatuses, instanceStates } from './states'
import { valueProblem } from './variables'
import { watchView } from './watch'

/**
 * Input and output of tRPC and REST v1: types, validation and the OpenAPI document are derived from these schemas. Dates are ISO 8601 strings in
 * UTC; sizes are bytes; times are milliseconds.
 */

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)
/** A command line or path in the settings of a project; empty: detected. */
const optionalText = z
  .string()
  .trim()
  .max(2000)
  .nullish()
  .transform((value) => value || null)
/** Relative path inside the repository: no `..`, not absolute. */
const relativePath = z
  .string()
  .trim()
  .max(500)
  .refine(
    (value) => !value.startsWith('/') && !value.split('/').includes('..') && !value.includes('\0'),
    'must be a relative path inside the repository',
  )
  .nullish()
  .transform((value) => value || null)

export const wireErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  step: z.string().optional(),
  stillServing: z.string().optional(),
  nextAction: z.string().optional(),
  retryAfterSeconds: z.number().optional(),
})

export const projectInput = z.object({
  name: z.string().trim().min(1).max(100),
  repository: z.string().trim().max(2000).nullish(),
  branch: z.string().trim().max(250).nullish(),
  rootDirectory: relativePath,
  installCommand: optionalText,
  buildCommand: optionalText,
  startCommand: optionalText,
  outputDirectory: relativePath,
  /** Submodules of a Git repository: fetched, or left as empty folders. Default: fetched. */
  submodules: z.enum(elsewhereChoices).optional(),
  /** Files in Git LFS: fetched, or left as pointer files. Default: fetched. */
  lfs: z.enum(elsewhereChoices).optional(),
  healthCheckPath: z.string().trim().startsWith('/').max(500).nullish(),
  runtimeSettings: runtimeSettingsPatch.optional(),
})
export type ProjectInput = z.input<typeof projectInput>
export const projectPatch = projectInput.partial()

export const stepView = z.object({
  id: z.string(),
  name: z.string(),
  status: z.enum(['running', 'done', 'failed', 'canceled', 'interrupted']),
  attempt: z.number(),
  cached: z.boolean(),
  detail: z.string().nullable(),
  startedAt: iso,
  endedAt: iso.nullable(),
  durationMs: z.number().nullable(),
})
export type StepView = z.infer<typeof stepView>

/** A future step and its purpose. */
export const pendingStepView = z.object({ name: z.string(), detail: z.string().nullable() })
export type PendingStepView = z.infer<typeof pendingStepView>

/** Health of the live deployment as visitors see it, while `status` is the result of the deployment. `none`: not live. */
export const deploymentHealth = z.object({
  state: z.enum(['none', 'healthy', 'starting', 'crashing', 'down']),
  message: z.string().nullable(),
  since: iso.nullable(),
})
export type DeploymentHealth = z.infer<typeof deploymentHealth>

export const deploymentSummary = z.object({
  id,
  projectId: id,
  projectName: z.string(),
  projectSlug: z.string(),
  environmentId: id,
  environment: z.string(),
  status: z.enum(deploymentStatuses),
  /** Whether the environment's live release is the release of this deployment. */
  live: z.boolean(),
  health: deploymentHealth,
  cancelRequested: z.boolean(),
  kind: z.enum(['build', 'rollback', 'promote', 'restart', 'redeploy']),
  /** Why it is in this status, where the status alone does not say it. */
  reason: z.string().nullable(),
  /** Its artifact is kept until it is unpinned. */
  pinned: z.boolean(),
  /** Until then the new version is compared with the one before; null: it is not watched. */
  watchUntil: iso.nullable(),
  triggeredBy: z.enum(['user', 'api', 'system', 'git', 'hook']),
  createdBy: z.string().nullable(),
  source: z.object({ kind: z.enum(['git', 'archive']), repository: z.string().nullable() }),
  /** Id of the deployment whose source this one was asked to build again, or whose artifact it uses. */
  repeats: z.string().nullable(),
  /** Built without caches and results of earlier builds. */
  noCache: z.boolean(),
  ref: z.string().nullable(),
  branch: z.string().nullable(),
  commitSha: z.string().nullable(),
  commitMessage: z.string().nullable(),
  commitAuthor: z.string().nullable(),
  framework: z.string().nullable(),
  /** Hostname of this deployment; responds while an instance runs. */
  url: z.string(),
  createdAt: iso,
  startedAt: iso.nullable(),
  liveAt: iso.nullable(),
  endedAt: iso.nullable(),
  /** From the start until live, or until the end. */
  durationMs: z.number().nullable(),
  error: wireErrorSchema.nullable(),
})
export type DeploymentSummary = z.infer<typeof deploymentSummary>

export const deploymentView = deploymentSummary.extend({
  /** Address of its environment, where this deployment serves once it is live. */
  projectUrl: z.string(),
  steps: z.array(stepView),
  /** Milliseconds of each ended step, by name. `wake`: until the instances of an existing artifact ran. */
  timings: z.record(z.string(), z.number()),
  /** What the comparison with the version before found; null: it was not compared. */
  watch: watchView.nullable(),
  /** Of a running deployment: the steps to come, in order. */
  pendingSteps: z.array(pendingStepView),
  summary: z.string().nullable(),
  artifact: z.object({ kind: z.enum(['image', 'bundle']), digest: z.string(), sizeBytes: z.number() }).nullable(),
})
export type DeploymentView = z.infer<typeof deploymentView>

export const projectView = z.object({
  id,
  name: z.string(),
  slug: z.string(),
  url: z.string(),
  /** Repository URL without credentials. */
  repository: z.string().nullable(),
  /** Whether encrypted credentials for the repository are stored. They are deleted when the repository URL changes. */
  repositoryCredentials: z.boolean(),
  branch: z.string().nullable(),
  rootDirectory: z.string().nullable(),
  installCommand: z.string().nullable(),
  buildCommand: z.string().nullable(),
  startCommand: z.string().nullable(),
  outputDirectory: z.string().nullable(),
  submodules: z.enum(elsewhereChoices),
  lfs: z.enum(elsewhereChoices),
  healthCheckPath: z.string().nullable(),
  runtimeSettings,
  framework: z.string().nullable(),
  createdAt: iso,
  updatedAt: iso,
  /** Health of the live deployment. */
  health: deploymentHealth,
  liveDeployment: deploymentSummary.nullable(),
  latestDeployment: deploymentSummary.nullable(),
  /** Parts of the project that the routers do not serve as configured. */
  edgeProblems: routingProblemList,
})
export type ProjectView = z.infer<typeof projectView>

export const deploymentInput = z
  .object({
    projectId: id,
    /** Name of the environment. Default: production. */
    environment: z.string().trim().min(1).max(100).nullish(),
    pullRequest: z
      .number()
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .nullish()
      .meta({ description: 'Deploys to the preview of this pull or merge request, which is opened when it is missing or closed.' }),
    branch: z
      .string()
      .trim()
      .min(1)
      .max(250)
      .nullish()
      .meta({ description: 'Branch of the pull request. Without source, ref and repeat its head is deployed. Default: the known one.' }),
    title: z.string().trim().min(1).max(500).nullish().meta({ description: 'Title of the pull request.' }),
    author: z.string().trim().min(1).max(200).nullish().meta({ description: 'Author of the pull request.' }),
    /** For signed-in users always `user`, whatever the request says; `system` is reserved to operators. */
    triggeredBy: z.enum(['user', 'api', 'system']).default('api'),
    /** Branch, tag or full commit id. Default: the project's branch, else the repository's default branch. */
    ref: z.string().trim().min(1).max(250).nullish(),
    /** Digest of an uploaded archive instead of the repository. */
    source: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/)
      .nullish(),
    /** Id of a deployment whose source is built again: the same commit or upload, with the current variables and settings. */
    repeat: id.nullish(),
    /** Builds without results, packages and caches of earlier builds; for this deployment only. */
    noCache: z.boolean().default(false),
  })
  .refine(({ ref, source, repeat }) => [ref, source, repeat].filter(Boolean).length <= 1, 'give one of ref, source and repeat')
  .refine(({ environment, pullRequest }) => !environment || !pullRequest, 'give environment or pullRequest')
  .refine(
    ({ pullRequest, branch, title, author }) => pullRequest || !(branch || title || author),
    'branch, title and author describe a pull request: give pullRequest',
  )

export const variableInput = z.object({
  key: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/, 'letters, digits and underscores, not starting with a digit'),
  value: z.string().superRefine((value, context) => {
    const message = valueProblem(value)
    if (message !== null) context.addIssue({ code: 'custom', message })
  }),
  scope: z.enum(['build', 'runtime', 'both']).default('both'),
})
/** Values are write-only: no view contains them. */
export const variableView = z.object({
  key: z.string(),
  scope: z.enum(['build', 'runtime', 'both']),
  /** A warning about this name; null: no warning. */
  caution: z.string().nullable(),
  updatedAt: iso,
  updatedBy: z.string().nullable(),
})
export type VariableView = z.infer<typeof variableView>

export const logLineView = z.object({
  /** Position for `Last-Event-ID`. */
  id: z.string(),
  step: z.string(),
  stream: z.enum(['stdout', 'stderr', 'system']),
  text: z.string(),
  at: iso,
})
export type LogLineView = z.infer<typeof logLineView>

export const instanceView = z.object({
  id,
  projectId: id,
  deploymentId: id,
  runtime: z.enum(['docker', 'process']),
  slot: z.enum(['blue', 'green']),
  state: z.enum(instanceStates),
  address: z.string().nullable(),
  startedAt: iso.nullable(),
  stoppedAt: iso.nullable(),
  exit: z.object({ code: z.number().nullable(), signal: z.string().nullable(), outOfMemory: z.boolean() }).nullable(),
  stats: z.object({ cpuSeconds: z.number(), memoryBytes: z.number(), memoryLimitBytes: z.number(), pids: z.number() }).nullable(),
})
export type InstanceView = z.infer<typeof instanceView>

export const apiKeyView = z.object({
  id,
  name: z.string(),
  prefix: z.string(),
  role: z.enum(['owner', 'admin', 'member']),
  createdAt: iso,
  lastUsedAt: iso.nullable(),
  expiresAt: iso.nullable(),
})
export type ApiKeyView = z.infer<typeof apiKeyView>

/** Result of the inspection before a first build. */
export const inspectionView = z.object({
  framework: z.string().nullable(),
  summary: z.string(),
  packageManager: z.string(),
  nodeMajor: z.number(),
  settings: z.object({
    installCommand: z.string().nullable(),
    buildCommand: z.string().nullable(),
    startCommand: z.string().nullable(),
    outputDirectory: z.string().nullable(),
  }),
  evidence: z.array(z.object({ file: z.string(), found: z.string() })),
  warnings: z.array(z.string()),
  commit: z.object({ sha: z.string(), message: z.string(), author: z.string(), branch: z.string().nullable() }).nullable(),
})
export type InspectionView = z.infer<typeof inspectionView>

export const memberView = z.object({
  userId: id,
  name: z.string().nullable(),
  email: z.string().nullable(),
  role: z.enum(['owner', 'admin', 'member']),
  createdAt: iso,
})
export type MemberView = z.infer<typeof memberView>

export const teamView = z.object({ id, name: z.string(), slug: z.string(), role: z.enum(['owner', 'admin', 'member']) })
export type TeamView = z.infer<typeof teamView>

/** The authenticated user, or the API key with its name. */
export const meView = z.object({
  kind: z.enum(['user', 'api-key', 'system']),
  user: z.object({ id, name: z.string().nullable(), email: z.string().nullable() }),
  operator: z.boolean(),
  /** The current team of this session, with the role in it. */
  team: teamView,
  teams: z.array(teamView),
})
export type MeView = z.infer<typeof meView>

export const apiKeyInput = z.object({
  name: z.string().trim().min(1).max(100),
  role: z.enum(['admin', 'member']).default('admin'),
  /** null: does not expire. */
  expiresInDays: z.number().int().min(1).max(3650).nullish(),
})
/** `key` is shown only in this response. */
export const createdApiKeyView = apiKeyView.extend({ key: z.string() })

export const firstAccountInput = z.object({
  /** The one-time code that the server printed. */
  code: z.string().trim().min(1).max(100),
  email: z.email().max(254),
  password: z.string().min(8, 'must have 8 characters or more').max(200),
  name: z.string().trim().max(100).optional(),
})

export const inspectInput = z.object({
  repository: z.string().trim().min(1).max(2000),
  branch: z.string().trim().max(250).nullish(),
  rootDirectory: relativePath,
})

export const systemView = z.object({
  version: z.string(),
  runtime: z.enum(['docker', 'process']),
  baseDomain: z.string(),
  edgeHttpPort: z.number(),
  /** URL of apps, with `*` instead of the project's slug. */
  appUrlPattern: z.string(),
  ready: z.boolean(),
  /** Missing isolation between apps on this machine; null: fully isolated. */
  weakness: z.string().nullable(),
  checks: z.record(z.string(), z.object({ ok: z.boolean(), /** Operators only. */ detail: z.string().nullable() })),
})
export type SystemView = z.infer<typeof systemView>

/** Disks of the installation, the space used on them, and data removed to stay within the limits. */
export const storageView = z.object({
  disks: z.array(z.object({ what: z.string(), directory: z.string(), freeBytes: z.number(), totalBytes: z.number(), low: z.boolean() })),
  usage: z.array(z.object({ what: z.string(), sizeBytes: z.number() })),
  limits: z.array(z.object({ what: z.string(), sizeBytes: z.number().nullable(), days: z.number().nullable() })),
  freed: z.array(z.object({ at: z.string(), what: z.string(), projectId: z.string().nullable(), sizeBytes: z.number(), reason: z.string() })),
})
export type StorageView = z.infer<typeof storageView>

/** Result of clearing a project's build cache. */
export const clearedCacheView = z.object({ freedBytes: z.number() })
export type ClearedCacheView = z.infer<typeof clearedCacheView>

/** Pages continue after the id of the last row, newest first. */
export const pageInput = z.object({ limit: wholeNumberOr(20, 1, 100), cursor: id.optional() })
