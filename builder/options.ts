import { existsSync } from 'node:fs'
import type { Reach } from '@/shared/node/reach'
import type { BlobStore } from '@/storage/blob-store'

/**
 * The host's network variables that builds need, spelt as the tools read them: CA bundle (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE), proxies,
 * npm registry. Read in `server/env.ts`, never here.
 */
export type HostEnv = Readonly<Record<string, string>>

/** `auto`: ordinary images where a registry answers, else those made from this machine. */
export type BaseImageSource = 'auto' | 'local' | 'registry'

export interface BuildLogger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface BuilderOptions {
  installationId: string
  /** `$SWITCHYARD_HOME`; the builder keeps to `builds/`, `mirrors/` and `tools/` below it. */
  home: string
  storage: BlobStore
  /** null: no container engine, bundles only. */
  dockerSocket: string | null
  /** The platform's own Node. */
  nodeBinary: string
  /** `builder/static-server/main.ts` as one file. */
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
