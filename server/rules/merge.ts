import { defaultProjectRules, type ProjectRules, type Protection, type RewriteRule, type ShareLinkDigest } from '@/shared/project-rules'
import { maxDestinationLength } from '@/shared/project-rules-schema'
import { projectDestination } from '@/shared/rules/destination'
import type { PartialRules } from './stored'

/**
 * Lays rules set for an environment over those it inherits. Lists are joined, its own with precedence; every other field that it sets
 * replaces the inherited one. It cannot lift inherited protection or maintenance: what closes all environments is removed where it was set.
 */
export function layRules(inherited: PartialRules, own: PartialRules): PartialRules {
  const joined: Required<Pick<ProjectRules, 'redirects' | 'rewrites' | 'headers' | 'rateLimits' | 'errorPages'>> = {
    redirects: [...(own.redirects ?? []), ...(inherited.redirects ?? [])],
    rewrites: [...(own.rewrites ?? []), ...(inherited.rewrites ?? [])],
    headers: [...(inherited.headers ?? []), ...(own.headers ?? [])],
    rateLimits: [...(own.rateLimits ?? []), ...(inherited.rateLimits ?? [])],
    errorPages: { ...inherited.errorPages, ...own.errorPages },
  }
  const both = {
    ...inherited,
    ...own,
    ...joined,
    allowedAddresses: own.allowedAddresses?.length ? own.allowedAddresses : inherited.allowedAddresses,
    protection: own.protection ?? inherited.protection,
    maintenance: own.maintenance ?? inherited.maintenance,
  }
  return Object.fromEntries(Object.entries(both).filter(([field]) => field in inherited || field in own))
}

/** The protection of an environment whose share links are these. `asks`: it is protected though no rule says so. */
export function withLinks(protection: Protection | null, asks: boolean, links: ShareLinkDigest[]): Protection | null {
  const set = protection ?? (asks ? { kind: 'token', digests: [] } : null)
  return set && links.length > 0 ? { ...set, links } : set
}

/**
 * Merges default ← files ← dashboard. The dashboard's redirects, rewrites and rate limits come first, because the first match applies; its
 * headers come last, because the last value wins. Every other field that the dashboard sets replaces the field of the files.
 */
export function mergeRules(files: PartialRules, settings: PartialRules): ProjectRules {
  const { redirects, rewrites, headers, rateLimits } = defaultProjectRules
  return {
    ...defaultProjectRules,
    ...files,
    ...settings,
    redirects: [...(settings.redirects ?? []), ...(files.redirects ?? redirects)],
    rewrites: [...(settings.rewrites ?? []), ...(files.rewrites ?? rewrites)],
    headers: [...(files.headers ?? headers), ...(settings.headers ?? [])],
    rateLimits: [...(settings.rateLimits ?? []), ...(files.rateLimits ?? rateLimits)],
    errorPages: { ...files.errorPages, ...settings.errorPages },
    // A file must never widen access.
    allowedAddresses: settings.allowedAddresses?.length ? settings.allowedAddresses : (files.allowedAddresses ?? []),
    protection: settings.protection ?? null,
    maintenance: settings.maintenance ?? null,
  }
}

/**
 * Replaces the slug in `project:<slug>/path` by the project's hostname, because routers know only hostnames. A destination that would
 * become too long stays unchanged and matches no host: routers reject a table with a rule beyond the limits.
 */
export function nameProjects(rewrites: readonly RewriteRule[], hostOf: (slug: string) => string): RewriteRule[] {
  return rewrites.map((rule) => {
    const found = projectDestination.exec(rule.destination)
    const destination = found?.[1] ? `project:${hostOf(found[1])}${found[2] ?? '/'}` : rule.destination
    return destination.length > maxDestinationLength ? rule : { ...rule, destination }
  })
}
