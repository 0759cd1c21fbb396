import { PassThrough, pipeline } from 'node:stream'
import { extract, pack } from 'tar-stream'
import { AppError } from '@/shared/errors'
import type { Artifact } from '@/shared/release'
import { engineCall } from './engine'
import { openBundle } from './execute/bundle'
import type { BuilderParts } from './run-build'

const deadlineMs = 30_000

/** An artifact as a tar. `strip`: number of leading path components to remove from each name. */
export interface OpenArtifact {
  tar: NodeJS.ReadableStream
  strip: number
  /** Call this when the tar was read or is no longer needed. */
  close(): void
}

/** Opens an artifact. @throws ERR_UNAVAILABLE without the engine that stores the image, ERR_NOT_FOUND when the artifact was removed */
export async function openArtifact(parts: BuilderParts, artifact: Artifact): Promise<OpenArtifact> {
  if (artifact.kind === 'bundle') return { tar: await openBundle(parts.options.storage, artifact.digest), strip: 0, close: () => {} }
  const { engine } = parts
  if (!engine)
    throw new AppError('ERR_UNAVAILABLE', 'The image cannot be read without the container engine.', { nextAction: 'Start Docker and try again.' })
  // The engine exports files only from a container, so create one that never runs.
  const image = await engineCall('reading the image', 10_000, () => engine.getImage(artifact.digest).inspect())
  const labels = { 'switchyard.installationId': parts.options.installationId, 'switchyard.role': 'download' }
  const container = await engineCall('opening the image', deadlineMs, () =>
    engine.createContainer({ Image: artifact.digest, Cmd: ['true'], Labels: labels }),
  )
  const close = () =>
    void engineCall('closing the image', deadlineMs, () => container.remove({ force: true })).catch((error) =>
      parts.options.logger.warn({ err: error }, 'reading an image left its container'),
    )
  try {
    const directory = image.Config.WorkingDir || '/'
    const tar = await engineCall('reading the image', deadlineMs, () => container.getArchive({ path: directory }))
    return { tar, strip: directory === '/' ? 0 : 1, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Like `openArtifact`, with names relative to the artifact. */
export async function artifactFiles(parts: BuilderParts, artifact: Artifact): Promise<NodeJS.ReadableStream> {
  const { tar, strip, close } = await openArtifact(parts, artifact)
  if (strip === 0) {
    tar.once('close', close)
    return tar
  }
  const renamed = pack()
  const entries = extract()
  entries.on('entry', (header, content, next) => {
    const name = header.name
      .replace(/^\.?\//, '')
      .split('/')
      .slice(strip)
      .join('/')
    if (name === '') {
      content.resume()
      content.once('end', () => next())
      return
    }
    // A hard link names another entry of the same tar, so its target is renamed too.
    const linkname =
      header.type === 'link'
        ? (header.linkname ?? '')
            .replace(/^\.?\//, '')
            .split('/')
            .slice(strip)
            .join('/')
        : header.linkname
    content.pipe(renamed.entry({ ...header, name, ...(linkname ? { linkname } : {}) }, next))
  })
  entries.once('finish', () => renamed.finalize())
  const output = new PassThrough()
  pipeline(tar, entries as unknown as NodeJS.WritableStream, (error) => {
    if (error) renamed.destroy(error)
  })
  pipeline(renamed as unknown as NodeJS.ReadableStream, output, () => {
    close()
    entries.destroy()
  })
  return output
}
