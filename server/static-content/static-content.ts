import { randomBytes } from 'node:crypto'
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Logger } from 'pino'
import type { Builder } from '@/builder/builder'
import { AppError } from '@/shared/errors'
import type { Artifact } from '@/shared/release'
import type { StaticContent } from '@/shared/route-table'
import { syncDirectory, unpackPublicFiles } from './unpack'

/** `Artifact.content`: the public directory of the artifact and how to serve it. */
export interface ContentSpec {
  /** Directory within the artifact. */
  root: string
  /** Serve index.html for unknown paths (single-page application). */
  spa: boolean
}

export const contentSpec = (artifact: { content: unknown }): ContentSpec | null => (artifact.content as ContentSpec | null) ?? null

/**
 * Public files of artifacts in `$SWITCHYARD_HOME/static/<digest>/`, where the routers read them: unpacked once, atomically, and removed
 * with the artifact.
 */
export interface StaticContents {
  /** Unpacks the files unless already unpacked. Returns their location for the route table. @throws ERR_START, ERR_NOT_FOUND, ERR_UNAVAILABLE */
  ensure(artifact: Artifact, spec: ContentSpec): Promise<StaticContent>
  /** Location for the route table; null: not unpacked on this machine. */
  locate(digest: string, spec: ContentSpec): StaticContent | null
  /** Removes the files; an unknown digest is not an error. */
  remove(digest: string): Promise<void>
}

/** Lists the unpacked artifacts and removes incomplete ones left by a crash. */
export async function openStaticContents(options: { home: string; builder: Pick<Builder, 'files'>; logger: Logger }): Promise<StaticContents> {
  const { builder, logger } = options
  const top = path.join(options.home, 'static')
  await mkdir(top, { recursive: true, mode: 0o700 })
  const ready = new Set<string>()
  for (const name of await readdir(top)) {
    if (name.startsWith('.')) await rm(path.join(top, name), { recursive: true, force: true })
    else ready.add(name)
  }
  const unpacking = new Map<string, Promise<void>>()

  async function unpack(artifact: Artifact, spec: ContentSpec, name: string): Promise<void> {
    const incoming = path.join(top, `.${name}.${randomBytes(6).toString('hex')}`)
    const tar = await builder.files(artifact)
    try {
      const files = await unpackPublicFiles(tar, spec.root, incoming)
      if (files === 0)
        throw new AppError('ERR_START', 'The build made no file to serve.', {
          nextAction: 'Check the build command and the output directory in the settings, then deploy again.',
        })
      await rename(incoming, path.join(top, name))
    } catch (error) {
      await rm(incoming, { recursive: true, force: true })
      throw error
    } finally {
      if ('destroy' in tar) (tar as unknown as { destroy(): void }).destroy()
    }
    await syncDirectory(top)
    ready.add(name)
    logger.info({ digest: artifact.digest }, 'static files unpacked')
  }
  const located = (digest: string, spec: ContentSpec): StaticContent => ({ digest, directory: path.join(top, nameOf(digest)), spa: spec.spa })

  return {
    async ensure(artifact, spec) {
      const name = nameOf(artifact.digest)
      if (ready.has(name) && !(await exists(path.join(top, name)))) ready.delete(name)
      if (!ready.has(name)) {
        const running = unpacking.get(name) ?? unpack(artifact, spec, name).finally(() => unpacking.delete(name))
        unpacking.set(name, running)
        await running
      }
      return located(artifact.digest, spec)
    },
    locate: (digest, spec) => (ready.has(nameOf(digest)) ? located(digest, spec) : null),
    async remove(digest) {
      const name = ready.has(digest.slice('sha256:'.length)) ? nameOf(digest) : null
      if (name === null) return
      ready.delete(name)
      // Rename before deleting: a crash during the deletion must not leave a partial site under its digest.
      const gone = path.join(top, `.${name}.${randomBytes(6).toString('hex')}`)
      await rename(path.join(top, name), gone).catch(() => {})
      await rm(gone, { recursive: true, force: true })
    },
  }
}

const exists = (at: string) =>
  access(at).then(
    () => true,
    () => false,
  )

/** Digests are `sha256:` + hex; anything else must not become a path. */
function nameOf(digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1]
  if (!hex) throw new AppError('ERR_INTERNAL', `"${digest.slice(0, 100)}" is not the digest of an artifact.`)
  return hex
}
