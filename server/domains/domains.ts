import type { z } from 'zod'
import type { DomainFilter, DomainPage, DomainPreview, DomainView, domainInput, domainPatch } from '@/shared/domains'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { addDomain, previewDomain } from './add'
import type { DomainDeps } from './deps'
import { getDomain, listDomains } from './read'
import { checkDomain, removeDomain, updateDomain } from './update'

/** A domain is named by its id or hostname. */
export interface Domains {
  /** By name. @throws ERR_INVALID_INPUT when the cursor's row is gone */
  list(actor: Actor, project: string, filter: DomainFilter, page: Page): Promise<DomainPage>
  /** Also tells the doctor that somebody looks: until all is well the next check comes soon. */
  get(actor: Actor, domain: string): Promise<DomainView>
  /** What would have to be set, before it is added. @throws ERR_INVALID_INPUT for what cannot be a domain */
  preview(actor: Actor, project: string, hostname: string): Promise<DomainPreview>
  /** @throws ERR_CONFLICT when another project has it, or another team and DNS does not prove that it is this team's. */
  add(actor: Actor, project: string, input: z.output<typeof domainInput>): Promise<DomainView>
  update(actor: Actor, domain: string, patch: z.output<typeof domainPatch>): Promise<DomainView>
  /** The hostname must be typed again. */
  remove(actor: Actor, domain: string, confirmHostname: string): Promise<void>
  /** Examines it now; returns when that is done. */
  check(actor: Actor, domain: string): Promise<DomainView>
}

export function createDomains(deps: DomainDeps): Domains {
  return {
    list: (actor, project, filter, page) => listDomains(deps, actor, project, filter, page),
    get: (actor, domain) => getDomain(deps, actor, domain),
    preview: (actor, project, hostname) => previewDomain(deps, actor, project, hostname),
    add: (actor, project, input) => addDomain(deps, actor, project, input),
    update: (actor, domain, patch) => updateDomain(deps, actor, domain, patch),
    remove: (actor, domain, confirmHostname) => removeDomain(deps, actor, domain, confirmHostname),
    check: (actor, domain) => checkDomain(deps, actor, domain),
  }
}
