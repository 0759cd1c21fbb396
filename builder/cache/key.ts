import { createHash, createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { BuildSettings } from '@/shared/build-plan'
import { writeFileAtomic } from '@/shared/node/atomic-file'

/** Raised when builds of the same input may come out differently than before. */
export const builderVersion = 2

/** Fingerprint of variables under a key of this installation: a build key is no way to guess a secret. */
export type EnvHash = (env: Readonly<Record<string, string>>) => string

export async function openEnvHash(directory: string): Promise<EnvHash> {
  const file = path.join(directory, 'fingerprint.key')
  const key = await readFile(file).catch(async () => {
    const made = randomBytes(32)
    await writeFileAtomic(file, made)
    return made
  })
  return (env) =>
    createHmac('sha256', key)
      .update(JSON.stringify(Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))))
      .digest('hex')
}

export interface BuildKeyInput {
  projectId: string
  treeId: string
  settings: BuildSettings
  target: 'image' | 'bundle'
  /** Images or binaries the build starts from. */
  base: readonly string[]
  envHash: string
}

/** Equal keys make equal artifacts. */
export function buildKey(input: BuildKeyInput): string {
  const { rootDirectory, installCommand, buildCommand, startCommand, outputDirectory } = input.settings
  const settings = [rootDirectory, installCommand, buildCommand, startCommand, outputDirectory]
  const parts = [builderVersion, input.projectId, input.treeId, settings, input.target, input.base, input.envHash, process.arch]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
