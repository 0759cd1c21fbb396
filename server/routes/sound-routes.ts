import { placeOf } from '@/shared/node/host'
import { certificateSchema, routeSchema } from '@/shared/node/route-table-schema'
import type { CertificateEntry, Route } from '@/shared/route-table'
import type { FoundProblems } from './problems'
import { type Charge, fitting } from './shares'

/**
 * Maximum bytes of a table's parts, below the message limit of the link. Policies have their own limit (`ruleLimits.totalWeight`, at most a
 * quarter of it in bytes).
 */
export const tableBytes = { routes: 320 * 1024 * 1024, certificates: 64 * 1024 * 1024 } as const

/** A certificate with its owner, for the limits per team. */
export interface OwnedCertificate {
  entry: CertificateEntry
  teamId: string
  projectId: string
}

const report = 'If nobody changed the database by hand, this is a fault of Switchyard: report it.'

/**
 * Keeps the routes that pass the checks of the routers, because routers refuse the whole table for an invalid route. An invalid route is left
 * out and reported as a problem of its project. Of two routes for the same host the first one stays.
 */
export function soundRoutes<R extends Route>(routes: readonly R[], problems: FoundProblems): R[] {
  const hosts = new Set<string>()
  return routes.filter((route) => {
    const { teamId, projectId, deploymentId, host: name } = route
    const invalid = (message: string, nextAction: string) => {
      problems.add({ teamId, projectId, deploymentId, host: name, origin: 'record', effect: 'left-out', message, nextAction })
      return false
    }
    const host = placeOf(name)?.host
    if (host === undefined)
      return invalid(`"${name.slice(0, 100)}" is no hostname, so nothing is served there.`, `Remove it and add it again. ${report}`)
    if (hosts.has(host)) return invalid(`${name} is the same host as another address; the first one is served.`, 'Remove one of the two.')
    const issue = routeSchema.safeParse(route).error?.issues[0]
    if (issue)
      return invalid(
        `The record of this address is invalid, so nothing is served there (${issue.path.join('.')}: ${issue.message}).`,
        `Deploy again. ${report}`,
      )
    hosts.add(host)
    return true
  })
}

/** Keeps the certificates that pass the checks of the routers and fit into `total` bytes. */
export function soundCertificates(
  certificates: readonly OwnedCertificate[],
  problems: FoundProblems,
  total: number = tableBytes.certificates,
): CertificateEntry[] {
  const sound = certificates.filter(({ entry, teamId, projectId }) => {
    const wrong = certificateSchema.safeParse(entry).error?.issues[0]
    if (wrong)
      problems.add({
        ...{ teamId, projectId, deploymentId: null, origin: 'record', effect: 'left-out' },
        host: entry.names[0] ?? null,
        message: `The record of a certificate is wrong, so it is not served (${wrong.path.join('.')}: ${wrong.message}).`,
        nextAction: 'Ask for it anew, or upload it again.',
      })
    return !wrong
  })
  const fit = fits(sound, total, ({ entry, ...owner }) => ({ ...owner, size: bytesOf(entry) }))
  return sound
    .filter((one, i) => {
      if (fit[i]) return true
      const { entry, teamId, projectId } = one
      problems.add({
        ...{ teamId, projectId, deploymentId: null, origin: 'budget', effect: 'left-out' },
        host: entry.names[0] ?? null,
        message: 'There is no room for this certificate within the size limit of the route table, so its names have no HTTPS.',
        nextAction: 'Use one wildcard certificate for many names, or remove domains of this team.',
      })
      return false
    })
    .map(({ entry }) => entry)
}

/** Keeps the routes that fit into `total` bytes. A project's own host and its domains come before the hosts of single deployments. */
export function routesThatFit<R extends Route>(routes: readonly R[], problems: FoundProblems, total: number = tableBytes.routes): R[] {
  const ordered = routes.toSorted((a, b) => Number(isOfDeployment(a)) - Number(isOfDeployment(b)))
  const flags = fits(ordered, total, (route) => ({ teamId: route.teamId, projectId: route.projectId, size: bytesOf(route) }))
  if (flags.every(Boolean)) return [...routes]
  const fit = new Set(ordered.filter((_, i) => flags[i]))
  return routes.filter((route) => {
    if (fit.has(route)) return true
    const { teamId, projectId, deploymentId, host } = route
    problems.add({
      ...{ teamId, projectId, deploymentId, host, origin: 'budget', effect: 'left-out' },
      message: 'There is no room for this address within the size limit of the route table, so nothing is served there.',
      nextAction: 'Remove domains or projects of this team that are not used, or use a wildcard domain.',
    })
    return false
  })
}

const isOfDeployment = ({ host, deploymentId }: Route): boolean => deploymentId !== null && host.includes(`-${deploymentId}.`)
const bytesOf = (part: object): number => Buffer.byteLength(JSON.stringify(part)) + 1

function fits<T>(items: readonly T[], total: number, chargeOf: (item: T) => Charge): boolean[] {
  const charges = items.map(chargeOf)
  const fit = fitting(charges, total)
  return charges.map((charge) => fit.has(charge))
}
