import { z } from 'zod'

/**
 * Every kind of event with the payload that is written in the transaction of the change. Webhooks and NATS send them as `eventMessage`.
 * An event belongs to a team and mostly to a project; those ids are columns of its row and not repeated in the payload.
 */

const id = z.string()
const deployment = { deploymentId: id, environmentId: id }
const requested = z.object({ ...deployment, triggeredBy: z.string() })
const ended = z.object({ ...deployment, code: z.string().nullable() })
const domain = { domainId: id, hostname: z.string() }
const certificate = { certificateId: id, domainId: id, hostname: z.string() }
const issued = z.object({ ...certificate, notAfter: z.string() })
const instance = z.object({ instanceId: id, reason: z.string() })

export const eventCatalogue = {
  'deployment.preview.requested': { payload: requested, summary: 'A deployment of a preview environment was queued.' },
  'deployment.production.requested': { payload: requested, summary: 'A deployment of the production environment was queued.' },
  'deployment.custom.requested': { payload: requested, summary: 'A deployment of another environment, such as staging, was queued.' },
  'deployment.restart.requested': { payload: requested, summary: 'A restart was queued: new instances of the release that is live.' },
  'deployment.ready': { payload: z.object({ ...deployment, releaseId: id }), summary: 'The deployment serves its environment.' },
  'deployment.failed': { payload: ended, summary: 'The deployment failed; `code` is the code of its error.' },
  'deployment.canceled': { payload: ended, summary: 'The deployment was canceled, or replaced by a newer one before it started.' },
  'deployment.promoted': {
    payload: z.object({ ...deployment, releaseId: id, fromDeploymentId: id }),
    summary: 'The artifact of `fromDeploymentId` serves this environment after a promotion.',
  },
  'deployment.rolled_back': {
    payload: z.object({ ...deployment, releaseId: id, fromDeploymentId: id.nullable(), automatic: z.boolean() }),
    summary: 'The environment serves an earlier release again; `fromDeploymentId` was live before.',
  },
  'domain.added': { payload: z.object(domain), summary: 'A domain was added to the project.' },
  'domain.verified': { payload: z.object(domain), summary: 'The domain leads to this installation and is served.' },
  'domain.misconfigured': {
    payload: z.object({ ...domain, code: z.string().nullable() }),
    summary: 'The domain was served before and does not lead here any more.',
  },
  'domain.removed': {
    payload: z.object({ ...domain, reason: z.enum(['removed', 'claimed_by_another_team']) }),
    summary: 'The domain was removed, or another team proved by DNS that it owns the name.',
  },
  'certificate.issued': { payload: issued, summary: 'A certificate authority issued the first certificate of a domain.' },
  'certificate.renewed': { payload: issued, summary: 'The certificate of a domain was renewed.' },
  'certificate.uploaded': { payload: issued, summary: 'A member of the team uploaded a certificate.' },
  'certificate.failed': {
    payload: z.object({ ...certificate, code: z.string(), step: z.string().nullable() }),
    summary: 'A certificate could not be issued or renewed; sent again only when the reason changes.',
  },
  'certificate.removed': { payload: z.object(certificate), summary: 'An uploaded certificate was removed.' },
  'instance.ejected': { payload: instance, summary: 'A router sends no requests to this instance because it fails.' },
  'instance.restored': { payload: instance, summary: 'A router sends requests to this instance again.' },
  'project.edge-problems': {
    payload: z.object({ problems: z.array(z.looseObject({})) }),
    summary: 'The list of what the routers do not serve of the project has changed; an empty list: everything is served.',
  },
} as const

export type EventKind = keyof typeof eventCatalogue
export type EventPayload<K extends EventKind> = z.input<(typeof eventCatalogue)[K]['payload']>
export const eventKinds = Object.keys(eventCatalogue) as [EventKind, ...EventKind[]]

/** The kind of event of a queued deployment. */
export function requestedKind(environment: 'PRODUCTION' | 'PREVIEW' | 'CUSTOM', isRestart: boolean): EventKind {
  if (isRestart) return 'deployment.restart.requested'
  return `deployment.${environment.toLowerCase() as Lowercase<typeof environment>}.requested`
}
