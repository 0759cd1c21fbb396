import { createHash, randomBytes } from 'node:crypto'
import { constants, createWriteStream } from 'node:fs'
import { chmod, copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { type AppError, isAppError } from '@/shared/errors'
import { parseAddress, pinAddress, type RepositoryAddress } from './address'
import { describePointers, lfsAdvice, type Pointer, summaryOf } from './lfs'
import { canceled, showName, sourceError } from './problem'

/** Where to fetch the LFS files of a repository. */
export interface LfsSource {
  /** The repository itself. */
  address: RepositoryAddress
  /** `lfs.url` of the repository's `.lfsconfig`, untrusted; null: the default of Git LFS. */
  configuredUrl: string | null
  /** Directory that the pointers' names are relative to. */
  directory: string
  /** Directory for objects, by id. */
  objectsDirectory: string
  allowPrivateNetwork: boolean
  signal: AbortSignal
}

const mediaType = 'application/vnd.git-lfs+json'
const batchSize = 100
const atOnce = 4
const maxRedirects = 3
const maxAnswerBytes = 4 * 1024 * 1024
const silenceMs = 30_000

const headers = z.record(z.string(), z.string()).optional()
const answer = z.object({
  objects: z.array(
    z.object({
      oid: z.string(),
      actions: z.object({ download: z.object({ href: z.string(), header: headers }).optional() }).optional(),
      error: z.object({ code: z.number().optional(), message: z.string().optional() }).optional(),
    }),
  ),
})
type Download = { href: string; header?: Record<string, string> | undefined }

/**
 * Replaces pointer files by their content, with the batch API of Git LFS. Checks every address from a server like a repository address, and the
 * hash of every object.
 * @throws AppError ERR_SOURCE that names the setting, ERR_CANCELED
 */
export async function fetchLargeFiles(source: LfsSource, pointers: readonly Pointer[]): Promise<void> {
  try {
    await mkdir(source.objectsDirectory, { recursive: true, mode: 0o700 })
    const missing: Pointer[] = []
    for (const pointer of new Map(pointers.map((each) => [each.oid, each])).values()) if (!(await isKept(source, pointer))) missing.push(pointer)
    for (let begin = 0; begin < missing.length; begin += batchSize) await fetchBatch(source, missing.slice(begin, begin + batchSize))
    for (const pointer of pointers) await replace(source, pointer)
  } catch (error) {
    if (source.signal.aborted) throw canceled(error)
    throw explained(error, pointers)
  }
}

function explained(error: unknown, pointers: readonly Pointer[]): AppError {
  const reason = isAppError(error) ? error.message : 'the server could not be reached, or broke off the transfer'
  return sourceError(
    `Files that Git LFS keeps could not be fetched: ${describePointers(summaryOf(pointers))}: ${reason}`,
    `Check that the Git host serves them with the credentials of the repository, ${lfsAdvice}`,
    error,
  )
}

const fileOf = (source: LfsSource, { oid }: Pick<Pointer, 'oid'>): string => path.join(source.objectsDirectory, oid)

async function isKept(source: LfsSource, pointer: Pointer): Promise<boolean> {
  const found = await stat(fileOf(source, pointer)).catch(() => null)
  return found !== null && found.size === pointer.sizeBytes
}

/** URL of the LFS API for a repository, as Git LFS derives it; ssh addresses use https. */
export function endpointOf(source: Pick<LfsSource, 'address' | 'configuredUrl'>): URL {
  if (source.configuredUrl !== null) return checkedUrl(source.configuredUrl)
  const { address } = source
  const plain = new URL(address.url)
  const scheme = address.scheme === 'http' ? 'http' : 'https'
  const port = address.scheme === 'https' || address.scheme === 'http' ? plain.port : ''
  const repository = plain.pathname.replace(/\/+$/, '')
  return new URL(`${scheme}://${plain.hostname}${port ? `:${port}` : ''}${repository.endsWith('.git') ? repository : `${repository}.git`}/info/lfs`)
}

function checkedUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw sourceError('a server or .lfsconfig names an address that is no URL', '')
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw sourceError(`files are fetched over https, not over ${showName(url.protocol)}`, '')
  return url
}

/** Credentials of the repository, only for exactly its own URL. */
function authorizationFor(source: LfsSource, url: URL): Record<string, string> {
  const { credentials } = source.address
  if (!credentials || new URL(source.address.url).origin !== url.origin) return {}
  return { authorization: `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}` }
}

interface Ask {
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
}

/** Sends one request to a pinned address. Redirects are returned like other responses. */
async function send(source: LfsSource, url: URL, ask: Ask): Promise<IncomingMessage> {
  const pinned = await pinAddress(parseAddress(`${url.origin}/object`), {
    allowPrivateNetwork: source.allowPrivateNetwork,
    signal: source.signal,
  })
  const family = pinned.ip.includes(':') ? 6 : 4
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: ask.method,
      headers: ask.headers,
      signal: source.signal,
      agent: false,
      // Connect to the checked address; the certificate is still verified by name.
      lookup: (_host, options, done) => (options.all ? done(null, [{ address: pinned.ip, family }]) : done(null, pinned.ip, family)),
    })
    sent.setTimeout(silenceMs, () => sent.destroy(new Error('silent for too long')))
    sent.once('response', resolve).once('error', reject)
    sent.end(ask.body)
  })
}

async function fetchBatch(source: LfsSource, pointers: readonly Pointer[]): Promise<void> {
  const endpoint = endpointOf(source)
  const body = JSON.stringify({
    operation: 'download',
    transfers: ['basic'],
    hash_algo: 'sha256',
    objects: pointers.map(({ oid, sizeBytes }) => ({ oid, size: sizeBytes })),
  })
  const url = new URL(`${endpoint.href.replace(/\/+$/, '')}/objects/batch`)
  const response = await send(source, url, {
    method: 'POST',
    headers: { accept: mediaType, 'content-type': mediaType, 'content-length': String(Buffer.byteLength(body)), ...authorizationFor(source, url) },
    body,
  })
  const text = await readBounded(response)
  if (response.statusCode !== 200) throw refusal(url, response)
  const parsed = answer.safeParse(parseJson(text))
  if (!parsed.success) throw sourceError(`${url.host} did not answer as Git LFS does`, '')
  const downloads = new Map(parsed.data.objects.map((object) => [object.oid, object]))
  const queue = [...pointers]
  const work = async () => {
    for (let pointer = queue.shift(); pointer; pointer = queue.shift()) {
      const object = downloads.get(pointer.oid)
      const download = object?.actions?.download
      if (!download) throw sourceError(`${url.host} does not have ${showName(pointer.name)}${reasonOf(object?.error?.message)}`, '')
      await fetchObject(source, pointer, download)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

const reasonOf = (message: string | undefined): string => (message ? ` (${showName(message)})` : '')

function refusal(url: URL, response: IncomingMessage): AppError {
  const status = response.statusCode ?? 0
  if (status === 401 || status === 403) return sourceError(`${url.host} asks for credentials`, '')
  if (status === 404) return sourceError(`${url.host} has no Git LFS for this repository`, '')
  return sourceError(`${url.host} answered ${status}`, '')
}

async function readBounded(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswerBytes) throw sourceError('the answer of the Git LFS server is too long', '')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Downloads an object and follows redirects; headers for one origin are never sent to another. */
async function openDownload(source: LfsSource, download: Download): Promise<IncomingMessage> {
  let url = checkedUrl(download.href)
  let sent: Record<string, string> = { ...authorizationFor(source, url), ...lowerCased(download.header ?? {}) }
  for (let hop = 0; ; hop += 1) {
    const response = await send(source, url, { method: 'GET', headers: sent })
    const { statusCode = 0 } = response
    const location = response.headers.location
    if (statusCode === 200) return response
    response.destroy()
    if (statusCode < 300 || statusCode > 399 || !location || hop === maxRedirects) throw refusal(url, response)
    const next = checkedUrl(new URL(location, url).href)
    if (next.origin !== url.origin) sent = authorizationFor(source, next)
    url = next
  }
}

const lowerCased = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))

async function fetchObject(source: LfsSource, pointer: Pointer, download: Download): Promise<void> {
  // A unique name: two builds of a project may fetch the same object into the same mirror.
  const temporary = `${fileOf(source, pointer)}.${randomBytes(6).toString('hex')}.partial`
  try {
    const response = await openDownload(source, download)
    const hash = createHash('sha256')
    let received = 0
    const counted = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        received += chunk.length
        if (received > pointer.sizeBytes) throw sourceError(`${showName(pointer.name)} is larger than its pointer says`, '')
        hash.update(chunk)
        yield chunk
      }
    }
    await pipeline(response, counted, createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true }), { signal: source.signal })
    if (received !== pointer.sizeBytes || hash.digest('hex') !== pointer.oid)
      throw sourceError(`what came for ${showName(pointer.name)} is not what its pointer names`, '')
    await rename(temporary, fileOf(source, pointer))
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Keep the mode of the file: the executable bit comes from the tree. */
async function replace(source: LfsSource, pointer: Pointer): Promise<void> {
  const target = path.join(source.directory, pointer.name)
  const { mode } = await stat(target)
  await rm(target)
  await copyFile(fileOf(source, pointer), target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(target, mode & 0o777)
}
