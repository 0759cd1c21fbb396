/** A Git host that shows deployments. Each method can be repeated: after a crash it finds what an earlier call has created. */
export interface Forge {
  /** Sets the status of the commit. */
  setStatus(report: Report): Promise<void>
  /** Creates or updates the deployment object; null: this host has none that others may write. */
  setDeployment: ((report: Report, known: string | null) => Promise<string>) | null
  /** Creates the one comment of the pull request, or updates it. */
  setComment(pullRequest: number, marker: string, text: string): Promise<void>
}

export type ReportState = 'pending' | 'running' | 'success' | 'failure' | 'canceled'

/** What a Git host is told of a deployment. */
export interface Report {
  deploymentId: string
  commitSha: string
  /** Branch or tag; null: only the commit is known. */
  ref: string | null
  state: ReportState
  /** Name of the status: the same for all deployments of an environment. */
  context: string
  /** At most 140 characters, the least of all hosts. */
  description: string
  environment: string
  isProduction: boolean
  /** Page of the deployment in the dashboard. */
  pageUrl: string
  /** Where the environment is served. */
  environmentUrl: string
  createdAt: Date
}

/** The Git host refused. The message is for people and quotes nothing of the answer, which may repeat the token. */
export class ForgeError extends Error {
  /** rate-limit: everything waits until `retryAt`; refused: it stays so until a person acts; unavailable: tried again. */
  readonly kind: 'rate-limit' | 'refused' | 'unavailable'
  readonly nextAction: string
  readonly retryAt: Date | null
  constructor(kind: ForgeError['kind'], message: string, options: { nextAction: string; retryAt?: Date; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.name = 'ForgeError'
    this.kind = kind
    this.nextAction = options.nextAction
    this.retryAt = options.retryAt ?? null
  }
}
