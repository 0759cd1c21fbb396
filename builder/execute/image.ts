import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type Engine, engineCall, readProgress } from '@/builder/engine'
import { isAppError } from '@/shared/errors'
import { type ArchiveEntry, archiveBytes, archiveSize } from './archive'
import { type TarOwner, tarEnd, tarHeader, tarPadding } from './tar'

/** The fields of an image's configuration that we set. */
export interface ImageConfig {
  Env: string[]
  Cmd: string[]
  Entrypoint: string[] | null
  WorkingDir: string
  User: string
  Labels: Record<string, string>
  ExposedPorts?: Record<string, Record<string, never>>
}

export interface LayerSpec {
  /** Diff ids of the base layers; the engine has them, so the archive omits them. */
  baseLayers: readonly string[]
  /** Base image, for engines that reject an archive without base layers. */
  baseImage: string | null
  entries: readonly ArchiveEntry[]
  owner: TarOwner
  config: ImageConfig
  /** `name:tag` */
  tag: string
  signal?: AbortSignal
  /** Called when the last file was read: the tree may change afterwards. */
  onRead?: () => void
}

export interface LoadedImage {
  /** `sha256:…` of the image configuration. */
  id: string
  layerBytes: number
}

const architecture = process.arch === 'x64' ? 'amd64' : process.arch
const created = '1970-01-01T00:00:00Z'
const rootOwner = { uid: 0, gid: 0 }
const loadDeadlineMs = 10 * 60_000

/**
 * Adds one layer to the base and loads the image. Deterministic: equal entries and configuration give the same image id. The layer is hashed
 * while it streams into the engine; the configuration, which contains the hash, follows it in the archive.
 */
export async function loadLayer(engine: Engine, spec: LayerSpec): Promise<LoadedImage> {
  const result: LoadedImage = { id: '', layerBytes: archiveSize(spec.entries) }
  try {
    await engineCall(
      `loading ${spec.tag}`,
      loadDeadlineMs,
      async (abortSignal) => {
        const stream = Readable.from(thinArchive(spec, result), { objectMode: false, highWaterMark: 4 * 1024 * 1024 })
        abortSignal.addEventListener('abort', () => stream.destroy(), { once: true })
        await readProgress(`loading ${spec.tag}`, await engine.loadImage(stream, { quiet: true, abortSignal }))
      },
      spec.signal,
    )
    return result
  } catch (error) {
    // Engines with the containerd image store require every layer in the archive; a commit works on all engines.
    if (spec.baseImage === null || spec.signal?.aborted || !isAppError(error) || error.code !== 'ERR_INTERNAL') throw error
    return commitLayer(engine, spec, spec.baseImage)
  }
}

async function* thinArchive(spec: LayerSpec, result: LoadedImage): AsyncGenerator<Buffer> {
  const file = (name: string, size: number) => tarHeader({ name, type: 'file', mode: 0o644, size }, rootOwner)
  const whole = (name: string, text: string) =>
    Buffer.concat([file(name, Buffer.byteLength(text)), Buffer.from(text), tarPadding(Buffer.byteLength(text))])
  const hash = createHash('sha256')
  yield file('layer.tar', result.layerBytes)
  for await (const chunk of archiveBytes(spec.entries, spec.owner)) {
    hash.update(chunk)
    yield chunk
  }
  spec.onRead?.()
  const layers = [...spec.baseLayers, `sha256:${hash.digest('hex')}`]
  const config = JSON.stringify({
    architecture,
    os: 'linux',
    created,
    config: spec.config,
    rootfs: { type: 'layers', diff_ids: layers },
    history: layers.map((_, at) => ({ created, comment: at < spec.baseLayers.length ? 'base' : 'switchyard' })),
  })
  const id = createHash('sha256').update(config).digest('hex')
  result.id = `sha256:${id}`
  const paths = [...spec.baseLayers.map((layer) => `${layer.slice('sha256:'.length)}/layer.tar`), 'layer.tar']
  yield whole(`${id}.json`, config)
  yield whole('manifest.json', JSON.stringify([{ Config: `${id}.json`, RepoTags: [spec.tag], Layers: paths }]))
  yield tarEnd
}

/** Slower fallback for all engines: copies files into a container that never runs, and commits it. The image id is not deterministic. */
export async function commitLayer(engine: Engine, spec: LayerSpec, baseImage: string): Promise<LoadedImage> {
  const container = await engineCall('creating a container to pack', 30_000, () =>
    engine.createContainer({ Image: baseImage, Cmd: ['true'], Labels: spec.config.Labels }),
  )
  try {
    await engineCall(
      'packing the files',
      loadDeadlineMs,
      (abortSignal) => container.putArchive(Readable.from(archiveBytes(spec.entries, spec.owner), { objectMode: false }), { path: '/', abortSignal }),
      spec.signal,
    )
    spec.onRead?.()
    const [repo, tag] = splitTag(spec.tag)
    // The engine reads the configuration from the body; the types support only the query.
    const options = { repo, tag, pause: false, ...spec.config }
    const made = (await engineCall('committing the image', loadDeadlineMs, () => container.commit(options), spec.signal)) as { Id: string }
    return { id: made.Id, layerBytes: archiveSize(spec.entries) }
  } finally {
    await engineCall('removing the packing container', 30_000, () => container.remove({ force: true }))
  }
}

export function splitTag(name: string): [string, string] {
  const at = name.lastIndexOf(':')
  return [name.slice(0, at), name.slice(at + 1)]
}
