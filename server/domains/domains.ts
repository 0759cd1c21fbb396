import type { Platform } from '../platform'
import { addDomain, previewDomain } from './add'
import type { DomainDeps } from './deps'
import { getDomain, listDomains } from './read'
import { checkDomain, removeDomain, updateDomain } from './update'

export function createDomains(deps: DomainDeps): Platform['domains'] {
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
