import type { GitProvider } from '@/shared/git-events'
import { type GitEvent, gitEvent } from '../event'
import { readBitbucket } from './bitbucket'
import { readGitea, readGithub } from './github'
import { readGitlab } from './gitlab'

const readers: Record<GitProvider, (event: string, payload: unknown) => GitEvent[]> = {
  github: readGithub,
  gitlab: readGitlab,
  bitbucket: readBitbucket,
  gitea: readGitea,
}

/** `pull_request.opened`, or the name of the event alone. */
export function eventLabel(event: string, payload: unknown): string {
  const { action, object_attributes: attributes } = (payload ?? {}) as { action?: unknown; object_attributes?: { action?: unknown } | null }
  const act = typeof action === 'string' ? action : typeof attributes?.action === 'string' ? attributes.action : null
  return `${event || 'unnamed'}${act ? `.${act.slice(0, 50)}` : ''}`
}

/** The events of a delivery, at least one. A payload of an unexpected form deploys nothing and is no error of its sender. */
export function readPayload(provider: GitProvider, event: string, payload: unknown): GitEvent[] {
  try {
    const events = readers[provider](event, payload).map((one) => gitEvent.parse(one))
    return events.length > 0 ? events : [{ kind: 'other', why: 'nothing was pushed' }]
  } catch {
    return [{ kind: 'other', why: `the payload of "${event}" has not the form that is expected` }]
  }
}
