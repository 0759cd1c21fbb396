import { z } from 'zod'
import { certificateTransitions, domainTransitions } from './states'
import { pageInput, wireErrorSchema } from './views'

/** Custom domains: what the API takes and gives, and what the doctor says about each. */

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)
const keysOf = <T extends object>(table: T) => Object.keys(table) as [keyof T & string, ...(keyof T & string)[]]

export const domainStates = keysOf(domainTransitions)
export const certificateStates = keysOf(certificateTransitions)

/** How a domain's states look to people. */
export const domainTraits: Readonly<
  Record<keyof typeof domainTransitions, { label: string; tone: 'neutral' | 'progress' | 'good' | 'bad'; routed: boolean }>
> = {
  unverified: { label: 'Waiting for DNS', tone: 'progress', routed: false },
  verified: { label: 'Verified', tone: 'good', routed: true },
  // It was verified by this team and nobody else has proved a claim: what still arrives is served.
  misconfigured: { label: 'Misconfigured', tone: 'bad', routed: true },
}

/** apex: the registrable domain itself, where a CNAME is not allowed (RFC 1034 §3.6.2). */
export const domainKinds = ['apex', 'subdomain', 'wildcard'] as const
export type DomainKind = (typeof domainKinds)[number]

export const dnsRecord = z.object({
  /** ALIAS stands for what DNS hosts call ALIAS, ANAME or CNAME flattening. */
  type: z.enum(['A', 'AAAA', 'CNAME', 'ALIAS', 'TXT', 'CAA']),
  /** Full name without trailing dot. */
  name: z.string(),
  /** The name as forms of DNS hosts want it, relative to the registrable domain: `@`, `www`. */
  host: z.string(),
  value: z.string(),
})
export type DnsRecord = z.infer<typeof dnsRecord>

export const checkIds = ['zone', 'claim', 'address', 'ipv6', 'proxy', 'http', 'https', 'caa', 'method'] as const
export type CheckId = (typeof checkIds)[number]
/** Titles as people see them, in the order in which they are worth reading. */
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
  /** unknown: it could not be found out right now. */
  state: z.enum(['ok', 'warn', 'fail', 'unknown']),
  /** What was found, one sentence or two. */
  cause: z.string(),
  /** What to do; null: nothing. */
  fix: z.string().nullable(),
  /** Records to set. */
  set: z.array(dnsRecord),
  /** Records to take away. */
  remove: z.array(dnsRecord),
  /** What a failure keeps from happening: traffic (and with it a certificate), or a certificate alone. */
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
  /** As people write it (IDN decoded). */
  displayName: z.string(),
  kind: z.enum(domainKinds),
  environment: z.string(),
  /** Serves the newest deployment of this branch instead of what is live in the environment. */
  branch: z.string().nullable(),
  state: z.enum(domainStates),
  /** The most important problem; null: none. */
  problem: wireErrorSchema.nullable(),
  /** Hostname of another domain of the project, to which all requests are redirected. */
  redirectTo: z.string().nullable(),
  httpsRedirect: z.boolean(),
  hstsSeconds: z.number(),
  certificateMode: z.enum(['automatic', 'uploaded', 'off']),
  /** False where this installation has no certificate authority: an automatic certificate will not come. */
  certificateAuthority: z.boolean(),
  dnsProviderId: id.nullable(),
  /** Records to set: the first choice, and others that do as well. */
  records: z.array(dnsRecord),
  alternatives: z.array(z.object({ when: z.string(), records: z.array(dnsRecord) })),
  /** What to know about the records above, one sentence each. */
  notes: z.array(z.string()),
  checks: z.array(domainCheck),
  checkedAt: iso.nullable(),
  /** null: nothing is planned. */
  nextCheckAt: iso.nullable(),
  /** The newest certificate that was made for this domain, or that covers it. */
  certificate: certificateSummary.nullable(),
  /** Where visitors find it. */
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
  /** `example.com`, `www.example.com`, `*.example.com`, `bücher.example`; a URL is taken for its host. */
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
  /** null or empty: none. */
  branch: z.string().trim().max(250).nullable().optional(),
  redirectTo: hostname.nullable().optional(),
  httpsRedirect: z.boolean().optional(),
  /** Seconds; 0 takes `Strict-Transport-Security` back from browsers. */
  hstsSeconds: z.number().int().min(0).max(63_072_000).optional(),
  certificateMode: z.enum(['automatic', 'uploaded', 'off']).optional(),
  dnsProviderId: id.nullable().optional(),
})
export type DomainPatch = z.input<typeof domainPatch>

/** Names one domain. */
export const domainPath = z.object({ domain: z.string().min(1).max(300).meta({ description: 'Id or hostname of the domain.' }) })

/** Which domains of a project a list is asked for: by name, page by page. */
export const domainFilter = {
  search: z.string().trim().min(1).max(253).optional().meta({ description: 'Part of the name.' }),
  state: z.enum(domainStates).optional().meta({ description: 'In this state alone.' }),
}
export const domainsQuery = pageInput.extend(domainFilter)
export type DomainFilter = Pick<z.output<typeof domainsQuery>, keyof typeof domainFilter>
export const domainPage = z.object({ items: z.array(domainView), nextCursor: z.string().nullable() })
export type DomainPage = z.infer<typeof domainPage>

/** What would have to be set for a name, before it is added. */
export const domainPreview = z.object({
  hostname: z.string(),
  displayName: z.string(),
  kind: z.enum(domainKinds),
  /** The other one of apex and www, which people usually want as a redirect; null also where the team has it. */
  counterpart: z.string().nullable(),
  records: z.array(dnsRecord),
  notes: z.array(z.string()),
  /** Another team has this name: it is handed over once this record is there. */
  claim: dnsRecord.nullable(),
})
export type DomainPreview = z.infer<typeof domainPreview>
