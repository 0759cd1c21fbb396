import { z } from 'zod'
import { domainInput, domainPage, domainPatch, domainPath, domainsQuery, domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { defineRoute } from './route'
import { projectPath } from './schemas'

export const domainRoutes = [
  defineRoute({
    id: 'listDomains',
    method: 'GET',
    path: '/projects/{project}/domains',
    action: 'domain.read',
    summary: 'List the domains of a project by name, with the records to set and what the doctor found',
    params: projectPath,
    query: domainsQuery,
    answer: { status: 200, schema: domainPage },
    handle: ({ actor, params, query: { search, state, ...page } }) => getPlatform().domains.list(actor, params.project, { search, state }, page),
  }),
  defineRoute({
    id: 'addDomain',
    method: 'POST',
    path: '/projects/{project}/domains',
    action: 'domain.write',
    summary: 'Add a domain; it is routed once its DNS is verified',
    params: projectPath,
    body: domainInput,
    answer: { status: 201, schema: domainView },
    handle: ({ actor, params, body }) => getPlatform().domains.add(actor, params.project, body),
  }),
  defineRoute({
    id: 'getDomain',
    method: 'GET',
    path: '/domains/{domain}',
    action: 'domain.read',
    summary: 'Show a domain; while something is wrong, reading it makes the next check come soon',
    params: domainPath,
    answer: { status: 200, schema: domainView },
    handle: ({ actor, params }) => getPlatform().domains.get(actor, params.domain),
  }),
  defineRoute({
    id: 'updateDomain',
    method: 'PATCH',
    path: '/domains/{domain}',
    action: 'domain.write',
    summary: 'Change redirect, environment, branch, HTTPS settings of a domain',
    params: domainPath,
    body: domainPatch,
    answer: { status: 200, schema: domainView },
    handle: ({ actor, params, body }) => getPlatform().domains.update(actor, params.domain, body),
  }),
  defineRoute({
    id: 'removeDomain',
    method: 'DELETE',
    path: '/domains/{domain}',
    action: 'domain.write',
    summary: 'Take a domain and its certificates away',
    params: domainPath,
    query: z.object({ confirm: z.string().max(300).meta({ description: 'The hostname, typed again.' }) }),
    answer: { status: 204 },
    handle: ({ actor, params, query }) => getPlatform().domains.remove(actor, params.domain, query.confirm),
  }),
  defineRoute({
    id: 'checkDomain',
    method: 'POST',
    path: '/domains/{domain}/check',
    action: 'domain.check',
    summary: 'Examine the DNS and reachability of a domain now',
    params: domainPath,
    answer: { status: 200, schema: domainView },
    handle: ({ actor, params }) => getPlatform().domains.check(actor, params.domain),
  }),
]
