import { defaultProjectRules, type ProjectRules, type RewriteRule } from '@/shared/project-rules'
import { maxDestinationLength } from '@/shared/project-rules-schema'
import { projectDestination } from '@/shared/rules/destination'
import type { PartialRules } from './stored'

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
