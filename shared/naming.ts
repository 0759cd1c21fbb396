/** Lengths keep `<slug>-<deploymentId>` inside one DNS label (RFC 1035 §2.3.4: 63 octets). */
export const maxSlugLength = 48
export const deploymentIdLength = 12

/** Response header with the version of the platform, on every response of REST v1. */
export const versionHeader = 'switchyard-version'

/** DNS-safe slug of a project name: lower-case letters, digits, single dashes; '' when no valid character is left. */
export function slugify(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, maxSlugLength)
    .replace(/^-+|-+$/g, '')
}

/** Hostname of a project: `my-app.localhost` */
export const projectHost = (slug: string, baseDomain: string): string => `${slug}.${baseDomain}`
/** Hostname of a deployment: `my-app-k3j9x0q2m1zz.localhost` */
export const deploymentHost = (slug: string, deploymentId: string, baseDomain: string): string => `${slug}-${deploymentId}.${baseDomain}`

/** `my-app-pr-7.localhost`: `slug` is the environment's own label. */
export const environmentHost = (slug: string, baseDomain: string): string => `${slug}.${baseDomain}`

/** Label of a pull request's preview: `my-app-pr-7`. */
export const pullRequestSlug = (projectSlug: string, pullRequest: number): string => `${projectSlug}-pr-${pullRequest}`

/** Whether a project's slug could be the label of another project's preview. */
export const looksLikePreview = (slug: string): boolean => /-pr-\d+$/.test(slug) || slug.includes('-git-')

/** URL of a host on the router; the default port of the scheme is omitted. */
export function hostUrl(host: string, edge: { scheme: 'http' | 'https'; port: number }): string {
  const standard = edge.scheme === 'http' ? 80 : 443
  return `${edge.scheme}://${host}${edge.port === standard ? '' : `:${edge.port}`}`
}
