import { createHash, createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { BuildSettings } from '@/shared/build-plan'
import { writeFileAtomic } from '@/shared/node/atomic-file'

/** Increase this when builds of the same input may differ from earlier versions. */
export const builderVersion = 2

/** Keyed hash of variables: a build key must not help to guess a secret. */
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
  /** Base images or binaries of the build. */
  base: readonly string[]
  envHash: string
}

/** Builds with equal keys produce equal artifacts. */
export function buildKey(input: BuildKeyInput): string {
  const { rootDirectory, installCommand, buildCommand, startCommand, outputDirectory } = input.settings
  const settings = [rootDirectory, installCommand, buildCommand, startCommand, outputDirectory]
  const parts = [builderVersion, input.projectId, input.treeId, settings, input.target, input.base, input.envHash, process.arch]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
