import { z } from 'zod'

/** The CAs that issue certificates, from environment variables (docs/operations.md). Parsed by `server/env.ts`. */

export interface Authority {
  /** URL of the ACME directory (RFC 8555 §7.1.1): the identity of a CA everywhere in this folder. */
  directory: string
  /** External account binding (RFC 8555 §7.3.4); null: the CA needs none. */
  binding: { keyId: string; hmacKey: string } | null
}

export interface Authorities {
  /** In order of preference; empty: automatic certificates are off. */
  production: Authority[]
  /** CA for a dry run before the first production order of a name, so that mistakes do not use up production limits; null: no dry run. */
  staging: Authority | null
  /** Contact address for messages of the CA. */
  email: string | null
  /** PEM file with the root of a private CA's own HTTPS. */
  caFile: string | null
}

export const letsEncrypt = {
  production: 'https://acme-v02.api.letsencrypt.org/directory',
  staging: 'https://acme-staging-v02.api.letsencrypt.org/directory',
} as const

const directory = z.url({ protocol: /^https$/, error: 'must be an https URL of an ACME directory' })
const directoryOrOff = z.union([z.literal('off'), directory])

/** The variables of the environment that this folder reads. */
export const acmeVariables = {
  ACME_DIRECTORY: directoryOrOff.default(letsEncrypt.production),
  ACME_EAB_KEY_ID: z.string().max(500).optional(),
  ACME_EAB_HMAC_KEY: z
    .string()
    .regex(/^[A-Za-z0-9_+/=-]+$/, 'must be base64url')
    .optional(),
  ACME_STAGING_DIRECTORY: directoryOrOff.optional(),
  ACME_FALLBACK_DIRECTORY: directory.optional(),
  ACME_FALLBACK_EAB_KEY_ID: z.string().max(500).optional(),
  ACME_FALLBACK_EAB_HMAC_KEY: z
    .string()
    .regex(/^[A-Za-z0-9_+/=-]+$/, 'must be base64url')
    .optional(),
  ACME_EMAIL: z.email().optional(),
  ACME_CA_FILE: z.string().startsWith('/', 'must be an absolute path').optional(),
}
type Variables = z.output<z.ZodObject<typeof acmeVariables>>

interface Issues {
  addIssue(issue: { code: 'custom'; path: string[]; message: string }): void
}

/** Checks that involve several variables. */
export function checkAcmeVariables(value: Variables, context: Issues): void {
  for (const prefix of ['ACME', 'ACME_FALLBACK'] as const)
    if (Boolean(value[`${prefix}_EAB_KEY_ID`]) !== Boolean(value[`${prefix}_EAB_HMAC_KEY`]))
      context.addIssue({
        code: 'custom',
        path: [`${prefix}_EAB_KEY_ID`],
        message: `and ${prefix}_EAB_HMAC_KEY belong together: set both or none`,
      })
  if (value.ACME_FALLBACK_EAB_KEY_ID && !value.ACME_FALLBACK_DIRECTORY)
    context.addIssue({ code: 'custom', path: ['ACME_FALLBACK_EAB_KEY_ID'], message: 'needs ACME_FALLBACK_DIRECTORY' })
}

const binding = (keyId: string | undefined, hmacKey: string | undefined) => (keyId && hmacKey ? { keyId, hmacKey } : null)

export function acmeSettings(env: Variables): Authorities {
  const production: Authority[] = []
  if (env.ACME_DIRECTORY !== 'off') {
    production.push({ directory: env.ACME_DIRECTORY, binding: binding(env.ACME_EAB_KEY_ID, env.ACME_EAB_HMAC_KEY) })
    if (env.ACME_FALLBACK_DIRECTORY && env.ACME_FALLBACK_DIRECTORY !== env.ACME_DIRECTORY)
      production.push({
        directory: env.ACME_FALLBACK_DIRECTORY,
        binding: binding(env.ACME_FALLBACK_EAB_KEY_ID, env.ACME_FALLBACK_EAB_HMAC_KEY),
      })
  }
  // Let's Encrypt has a known staging directory; other CAs have none that is known.
  const preset = env.ACME_DIRECTORY === letsEncrypt.production ? letsEncrypt.staging : 'off'
  const staging = env.ACME_STAGING_DIRECTORY ?? preset
  return {
    production,
    staging: staging === 'off' || staging === env.ACME_DIRECTORY || production.length === 0 ? null : { directory: staging, binding: null },
    email: env.ACME_EMAIL ?? null,
    caFile: env.ACME_CA_FILE ?? null,
  }
}
