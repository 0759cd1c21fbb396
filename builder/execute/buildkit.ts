import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import protobuf from 'protobufjs'
import { type Engine, engineCall } from '@/builder/engine'
import { AppError } from '@/shared/errors'
import { openSession } from './session'

export interface ImageBuild {
  /** Tar of the context, including the Dockerfile. */
  context: AsyncIterable<Buffer>
  dockerfile: string
  tag: string
  buildArgs: Record<string, string>
  secrets: Record<string, string>
  labels: Record<string, string>
  noCache: boolean
}

export type ImageBuildEvent = { kind: 'step'; name: string; cached: boolean } | { kind: 'output'; stream: 'stdout' | 'stderr'; data: Buffer }

/** The used fields of BuildKit's status message (moby.buildkit.v1.StatusResponse). */
interface Status {
  vertexes?: { digest: string; name: string; started?: object; completed?: object; cached?: boolean; error?: string }[]
  logs?: { stream: number; msg: Uint8Array }[]
}

interface Dialer {
  dial(options: object, callback: (error: Error | null, answer: NodeJS.ReadableStream) => void): void
}

const statusType = loadStatusType()

/** Definition of the message. dockerode has it in a file, which our bundle would lack. */
function loadStatusType(): protobuf.Type {
  return protobuf
    .parse(`syntax = "proto3"; package moby.buildkit.v1;
message StatusResponse { repeated Vertex vertexes = 1; repeated VertexLog logs = 3; }
message Vertex { string digest = 1; string name = 3; bool cached = 4; Timestamp started = 5; Timestamp completed = 6; string error = 7; }
message VertexLog { string vertex = 1; int64 stream = 3; bytes msg = 4; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }`)
    .root.lookupType('moby.buildkit.v1.StatusResponse')
}

/**
 * Builds an image with the engine's BuildKit and returns its id.
 * @throws AppError ERR_BUILD with BuildKit's message when the Dockerfile fails, ERR_CANCELED on abort.
 */
export async function buildImage(engine: Engine, build: ImageBuild, signal: AbortSignal, onEvent: (event: ImageBuildEvent) => void): Promise<string> {
  const session = await engineCall('opening a build session', 10_000, () => openSession(engine, build.secrets), signal)
  const buildId = randomUUID()
  const cancel = () => void engineCall('canceling the image build', 10_000, () => cancelBuild(engine, buildId)).catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const answer = await requestBuild(engine, build, session.id, buildId, signal)
    return await readTrace(answer, onEvent)
  } catch (error) {
    if (signal.aborted) throw new AppError('ERR_CANCELED', 'The image build was canceled.', { cause: error })
    throw error
  } finally {
    signal.removeEventListener('abort', cancel)
    session.close()
  }
}

function requestBuild(engine: Engine, build: ImageBuild, session: string, buildid: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
  // Never pass `networkmode`: BuildKit would allow "host".
  const options = {
    version: '2',
    session,
    buildid,
    dockerfile: build.dockerfile,
    t: build.tag,
    buildargs: build.buildArgs,
    labels: build.labels,
    ...(build.noCache ? { nocache: true } : {}),
  }
  return new Promise((resolve, reject) => {
    const request = {
      path: '/build?',
      method: 'POST',
      file: Readable.from(build.context, { objectMode: false }),
      options,
      abortSignal: signal,
      isStream: true,
      statusCodes: { 200: true, 400: 'bad parameter', 500: 'server error' },
    }
    ;(engine.modem as unknown as Dialer).dial(request, (error, answer) => (error ? reject(buildError(error.message)) : resolve(answer)))
  })
}

function cancelBuild(engine: Engine, buildId: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = {
      path: `/build/cancel?id=${encodeURIComponent(buildId)}`,
      method: 'POST',
      statusCodes: { 200: true, 204: true, 500: 'server error' },
    }
    ;(engine.modem as unknown as Dialer).dial(request, (error) => (error ? reject(error) : resolve()))
  })
}

async function readTrace(answer: NodeJS.ReadableStream, onEvent: (event: ImageBuildEvent) => void): Promise<string> {
  const seen = new Set<string>()
  let imageId: string | null = null
  let rest = ''
  for await (const chunk of answer) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!line.trim()) continue
      const message = JSON.parse(line) as { id?: string; aux?: unknown; error?: string }
      if (message.error !== undefined) throw buildError(message.error)
      if (message.id === 'moby.buildkit.trace') report(decodeStatus(String(message.aux)), seen, onEvent)
      else if (message.id === 'moby.image.id') imageId = (message.aux as { ID: string }).ID
    }
  }
  if (imageId === null)
    throw new AppError('ERR_UNAVAILABLE', 'The container engine ended the build without an image.', {
      nextAction: 'Check that Docker still runs, and deploy again.',
    })
  return imageId
}

function decodeStatus(base64: string): Status {
  return statusType.toObject(statusType.decode(Buffer.from(base64, 'base64')), { longs: Number, bytes: Buffer }) as Status
}

function report(status: Status, seen: Set<string>, onEvent: (event: ImageBuildEvent) => void): void {
  for (const vertex of status.vertexes ?? []) {
    if (!vertex.started || seen.has(vertex.digest) || vertex.name.startsWith('[internal]')) continue
    seen.add(vertex.digest)
    onEvent({ kind: 'step', name: vertex.name, cached: vertex.cached ?? false })
  }
  for (const log of status.logs ?? []) onEvent({ kind: 'output', stream: log.stream === 2 ? 'stderr' : 'stdout', data: Buffer.from(log.msg) })
}

function buildError(reason: string): AppError {
  const code = /exit code: (\d+)/.exec(reason)?.[1]
  return new AppError(
    'ERR_BUILD',
    code ? `A command of the Dockerfile ended with exit code ${code}: ${reason}` : `The Dockerfile could not be built: ${reason}`,
    {
      step: 'build',
      nextAction: /pull access denied|failed to resolve|not found: not found|dial tcp|no such host/.test(reason)
        ? 'The base image is not on this machine and no registry answers. "FROM switchyard/node:24" is always there.'
        : 'Read the log of the step "build", correct the Dockerfile and deploy again.',
    },
  )
}
