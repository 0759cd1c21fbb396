import { z } from 'zod'
import { certificateTransitions, domainTransitions } from './states'
import { pageInput, wireErrorSchema } from './views'

/** Custom domains in the API, and the findings of the domain doctor. */

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)
const keysOf = <T extends object>(table: T) => Object.keys(table) as [keyof T & string, ...(keyof T & string)[]]

export const domainStates = keysOf(domainTransitions)
export const certificateStates = keysOf(certificateTransitions)

/** How the states of a domain look to users. */
export const domainTraits: Readonly<
  Record<keyof typeof domainTransitions, { label: string; tone: 'neutral' | 'progress' | 'good' | 'bad'; routed: boolean }>
> = {
  unverified: { label: 'Waiting for DNS', tone: 'progress', routed: false },
  verified: { label: 'Verified', tone: 'good', routed: true },
  // Verified by this team, and not claimed by another team: requests that arrive are still served.
  misconfigured: { label: 'Misconfigured', tone: 'bad', routed: true },
}

/** apex: the registrable domain itself, where a CNAME is not allowed (RFC 1034 §3.6.2). */
export const domainKinds = ['apex', 'subdomain', 'wildcard'] as const
export type DomainKind = (typeof domainKinds)[number]

export const dnsRecord = z.object({
  /** ALIAS means ALIAS, ANAME or CNAME flattening, depending on the DNS host. */
  type: z.enum(['A', 'AAAA', 'CNAME', 'ALIAS', 'TXT', 'CAA']),
  /** Full name without trailing dot. */
  name: z.string(),
  /** The name relative to the registrable domain, as DNS hosts want it in their forms: `@`, `www`. */
  host: z.string(),
  value: z.string(),
})
export type DnsRecord = z.infer<typeof dnsRecord>

export const checkIds = ['zone', 'claim', 'address', 'ipv6', 'proxy', 'http', 'https', 'caa', 'method'] as const
export type CheckId = (typeof checkIds)[number]
/** Titles of the checks, in the order of display. */
export const checkTitles: Readonly<Record<CheckId, string>> = {
  zone: 'DNS zone',
  claim: 'Ownership',
  address: 'Address records',
  ipv6: 'IPv6',
  proxy: 'Proxies in the way',
  http: 'Reachable on port 80',
  https: 'Reachable on port 443',
  caa: 'CAA records',
  method: 'Certificate method',
}

export const domainCheck = z.object({
  id: z.enum(checkIds),
  /** unknown: the check could not be completed now. */
  state: z.enum(['ok', 'warn', 'fail', 'unknown']),
  /** The finding, in one or two sentences. */
  cause: z.string(),
  /** What to do; null: no fix is needed. */
  fix: z.string().nullable(),
  /** DNS records to set. */
  set: z.array(dnsRecord),
  /** DNS records to remove. */
  remove: z.array(dnsRecord),
  /** What a failure prevents: traffic (and so also certificates), or certificates only. */
  blocks: z.enum(['traffic', 'certificate']).nullable(),
})
export type DomainCheck = z.infer<typeof domainCheck>

const certificateSummary = z.object({
  id,
  state: z.enum(certificateStates),
  names: z.array(z.string()),
  issuer: z.string().nullable(),
  notAfter: iso.nullable(),
  nextAttemptAt: iso.nullable(),
  problem: wireErrorSchema.nullable(),
})

export const domainView = z.object({
  id,
  projectId: id,
  /** Canonical: lower case, punycode; `*.` before a wildcard. */
  hostname: z.string(),
  /** Name for users (IDN decoded). */
  displayName: z.string(),
  kind: z.enum(domainKinds),
  environment: z.string(),
  /** Routes to the newest deployment of this branch instead of the live deployment. */
  branch: z.string().nullable(),
  state: z.enum(domainStates),
  /** The most important problem; null: no problem. */
  problem: wireErrorSchema.nullable(),
  /** Hostname of another domain of the project, to which all requests are redirected. */
  redirectTo: z.string().nullable(),
  httpsRedirect: z.boolean(),
  hstsSeconds: z.number(),
  certificateMode: z.enum(['automatic', 'uploaded', 'off']),
  /** False: this installation has no CA, so no automatic certificate will be issued. */
  certificateAuthority: z.boolean(),
  dnsProviderId: id.nullable(),
  /** DNS records to set: the preferred choice, and alternatives. */
  records: z.array(dnsRecord),
  alternatives: z.array(z.object({ when: z.string(), records: z.array(dnsRecord) })),
  /** Notes on the records above, one sentence each. */
  notes: z.array(z.string()),
  checks: z.array(domainCheck),
  checkedAt: iso.nullable(),
  /** null: no check is scheduled. */
  nextCheckAt: iso.nullable(),
  /** The newest certificate that was issued for this domain or covers it. */
  certificate: certificateSummary.nullable(),
  /** URL for visitors. */
  url: z.string(),
  createdAt: iso,
})
export type DomainView = z.infer<typeof domainView>

const hostname = z.string().trim().min(1).max(300)
const branch = z
  .string()
  .trim()
  .max(250)
  .nullish()
  .transform((value) => value || null)

export const domainInput = z.object({
  /** `example.com`, `www.example.com`, `*.example.com`, `bücher.example`; of a URL, its hostname. */
  hostname,
  /** Name of the environment; default: production. */
  environment: z.string().trim().min(1).max(100).nullish(),
  branch,
  /** Hostname of another domain of this project. */
  redirectTo: hostname.nullish(),
})
export type DomainInput = z.input<typeof domainInput>

export const domainPatch = z.object({
  environment: z.string().trim().min(1).max(100).optional(),
  /** null or empty: no branch. */
  branch: z.string().trim().max(250).nullable().optional(),
  redirectTo: hostname.nullable().optional(),
  httpsRedirect: z.boolean().optional(),
  /** In seconds; 0 removes `Strict-Transport-Security` from browsers. */
  hstsSeconds: z.number().int().min(0).max(63_072_000).optional(),
  certificateMode: z.enum(['automatic', 'uploaded', 'off']).optional(),
  dnsProviderId: id.nullable().optional(),
})
export type DomainPatch = z.input<typeof domainPatch>

/** Path parameter for a domain. */
export const domainPath = z.object({ domain: z.string().min(1).max(300).meta({ description: 'Id or hostname of the domain.' }) })

/** Filter of a list of domains, by name, with pages. */
export const domainFilter = {
  search: z.string().trim().min(1).max(253).optional().meta({ description: 'Part of the name.' }),
  state: z.enum(domainStates).optional().meta({ description: 'In this state alone.' }),
}
export const domainsQuery = pageInput.extend(domainFilter)
export type DomainFilter = Pick<z.output<typeof domainsQuery>, keyof typeof domainFilter>
export const domainPage = z.object({ items: z.array(domainView), nextCursor: z.string().nullable() })
export type DomainPage = z.infer<typeof domainPage>

/** Records that a domain would need, before it is added. */
export const domainPreview = z.object({
  hostname: z.string(),
  displayName: z.string(),
  kind: z.enum(domainKinds),
  /** `www` for an apex and the apex for `www`, which are usually redirected; null: not applicable, or the team already has it. */
  counterpart: z.string().nullable(),
  records: z.array(dnsRecord),
  notes: z.array(z.string()),
  /** Another team has this name: the record proves ownership and transfers the name. */
  claim: dnsRecord.nullable(),
})
export type DomainPreview = z.infer<typeof domainPreview>
