import type { z } from 'zod'
import type { DomainFilter, DomainPage, DomainPreview, DomainView, domainInput, domainPatch } from '@/shared/domains'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { addDomain, previewDomain } from './add'
import type { DomainDeps } from './deps'
import { getDomain, listDomains } from './read'
import { checkDomain, removeDomain, updateDomain } from './update'

/** Use-cases about domains. A domain is identified by its id or hostname. */
export interface Domains {
  /** Sorted by name. @throws ERR_INVALID_INPUT when the cursor's row is gone */
  list(actor: Actor, project: string, filter: DomainFilter, page: Page): Promise<DomainPage>
  /** Also schedules an early check while the domain has a problem, because a user is viewing it. */
  get(actor: Actor, domain: string): Promise<DomainView>
  /** The DNS records that the domain would need. @throws ERR_INVALID_INPUT for an invalid domain name */
  preview(actor: Actor, project: string, hostname: string): Promise<DomainPreview>
  /** @throws ERR_CONFLICT when another project has the domain, or another team has it and DNS does not prove this team's ownership */
  add(actor: Actor, project: string, input: z.output<typeof domainInput>): Promise<DomainView>
  update(actor: Actor, domain: string, patch: z.output<typeof domainPatch>): Promise<DomainView>
  /** `confirmHostname` must repeat the hostname. */
  remove(actor: Actor, domain: string, confirmHostname: string): Promise<void>
  /** Examines the domain now; resolves after the examination. */
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
