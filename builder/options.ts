import { existsSync } from 'node:fs'
import type { Reach } from '@/shared/node/reach'
import type { BlobStore } from '@/storage/blob-store'

/**
 * Network variables of the host that builds need, named as the tools read them: CA certificates (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE), proxies,
 * npm registry. Only `server/env.ts` reads them.
 */
export type HostEnv = Readonly<Record<string, string>>

/** `auto`: official images if a registry responds, else images made from this machine. */
export type BaseImageSource = 'auto' | 'local' | 'registry'

export interface BuildLogger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface BuilderOptions {
  installationId: string
  /** `$SWITCHYARD_HOME`; the builder uses only `builds/`, `mirrors/` and `tools/` below it. */
  home: string
  storage: BlobStore
  /** null: no container engine, so only bundles can be built. */
  dockerSocket: string | null
  /** Node binary of the platform. */
  nodeBinary: string
  /** Bundled file of `builder/static-server/main.ts`. */
  staticServerFile: string
  /** `builder/source/unpacker.ts` as one file; without it archives are unpacked by this process (tests). */
  unpackerFile?: string | undefined
  hostEnv: HostEnv
  /** Private places that builds on the host may reach. */
  reach?: readonly Reach[]
  logger: BuildLogger
  baseImage?: BaseImageSource | undefined
  /** Dockerfiles are built even where they can be neither limited nor isolated. */
  allowUnconfinedDockerfiles?: boolean | undefined
}

const caVariables = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'GIT_SSL_CAINFO'] as const
const usualCaFile = '/etc/ssl/certs/ca-certificates.crt'

/** The CA bundle this machine trusts, or null. */
export function hostCaFile(host: HostEnv): string | null {
  return [...caVariables.map((name) => host[name]), usualCaFile].find((file) => file !== undefined && existsSync(file)) ?? null
}

/** Environment that makes package managers reach their registry from inside a build, where the CA bundle lies at `caFile`. */
export function networkEnv(host: HostEnv, caFile: string | null): Record<string, string> {
  const ownFiles = new Set(['SSL_CERT_DIR', 'npm_config_cafile', 'NPM_CONFIG_CAFILE', ...caVariables])
  const env = Object.fromEntries(Object.entries(host).filter(([name]) => !ownFiles.has(name)))
  if (caFile) for (const name of caVariables) env[name] = caFile
  return env
}
