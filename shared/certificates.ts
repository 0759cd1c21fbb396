import { z } from 'zod'
import { dnsCredentials, dnsProviderLabels } from './dns-providers'
import { certificateTransitions } from './states'
import { pageInput, wireErrorSchema } from './views'

/** Certificates in the API. Private keys are write-only. */

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)
const keysOf = <T extends object>(table: T) => Object.keys(table) as [keyof T & string, ...(keyof T & string)[]]

export const certificateStates = keysOf(certificateTransitions)

/** How each state looks, and whether a user can retry now. */
export const certificateTraits: Readonly<
  Record<keyof typeof certificateTransitions, { label: string; tone: 'neutral' | 'progress' | 'good' | 'bad'; retryable: boolean }>
> = {
  pending: { label: 'Waiting', tone: 'progress', retryable: true },
  issuing: { label: 'Being issued', tone: 'progress', retryable: false },
  active: { label: 'Active', tone: 'good', retryable: true },
  renewing: { label: 'Being renewed', tone: 'progress', retryable: false },
  failed: { label: 'Failed', tone: 'bad', retryable: true },
}

export const certificateTry = z.object({
  id: z.string(),
  /** Hostname of the CA's directory URL. */
  authority: z.string(),
  startedAt: iso,
  /** null: in progress. */
  endedAt: iso.nullable(),
  /** unasked: the CA was unavailable, so the attempt did not count. */
  outcome: z.enum(['running', 'succeeded', 'failed', 'unasked']),
  problem: wireErrorSchema.nullable(),
})
export type CertificateTryView = z.infer<typeof certificateTry>

export const certificateView = z.object({
  id,
  domainId: id,
  hostname: z.string(),
  projectId: id,
  state: z.enum(certificateStates),
  source: z.enum(['acme', 'uploaded']),
  names: z.array(z.string()),
  /** Issuer of the certificate that is served; null: no certificate yet. */
  issuer: z.string().nullable(),
  serial: z.string().nullable(),
  notBefore: iso.nullable(),
  notAfter: iso.nullable(),
  /** Time of the next order or renewal; null: not automatic. */
  nextAttemptAt: iso.nullable(),
  /** Failures since the last success. */
  attempts: z.number(),
  /** Why the certificate is missing or not renewed. */
  problem: wireErrorSchema.nullable(),
  /** The CA's explanation of the renewal time (RFC 9773). */
  renewalExplanationUrl: z.string().nullable(),
  createdAt: iso,
})
export type CertificateView = z.infer<typeof certificateView>
export const certificateDetail = certificateView.extend({ tries: z.array(certificateTry) })
export type CertificateDetail = z.infer<typeof certificateDetail>

const pem = z.string().trim().min(1)
export const certificateUpload = z.object({
  /** Id or hostname of the domain. */
  domain: z.string().trim().min(1).max(300),
  /** Certificate and intermediates as PEM, in any order. */
  certificate: pem.max(100_000),
  /** Private key as PEM, without a passphrase. */
  privateKey: pem.max(20_000),
})
export type CertificateUpload = z.infer<typeof certificateUpload>

export const certificatePath = z.object({ certificateId: id })
export const certificateFilter = {
  projectId: z.string().min(1).max(64).optional().meta({ description: 'Id or slug; default: the whole team.' }),
  domain: z.string().trim().min(1).max(253).optional().meta({ description: 'Of this domain alone, by its hostname.' }),
  search: z.string().trim().min(1).max(253).optional().meta({ description: 'Part of the name of the domain.' }),
}
/** Newest first, page by page. */
export const certificatesQuery = pageInput.extend(certificateFilter)
export type CertificateFilter = Pick<z.output<typeof certificatesQuery>, keyof typeof certificateFilter>
export const certificatePage = z.object({ items: z.array(certificateView), nextCursor: z.string().nullable() })
export type CertificatePage = z.infer<typeof certificatePage>

const providerName = z.string().trim().min(1).max(100)
export const dnsProviderInput = z.object({ name: providerName, credentials: dnsCredentials })
export type DnsProviderInput = z.output<typeof dnsProviderInput>
export const dnsProviderPatch = z.object({ name: providerName.optional(), credentials: dnsCredentials.optional() })
export const dnsProviderView = z.object({
  id,
  name: z.string(),
  kind: z.enum(keysOf(dnsProviderLabels)),
  /** Hostnames of the domains that use this certificate. */
  domains: z.array(z.string()),
  createdAt: iso,
})
export type DnsProviderView = z.infer<typeof dnsProviderView>
export const dnsProviderPath = z.object({ dnsProviderId: id })
