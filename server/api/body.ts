import { AppError } from '@/shared/errors'

/**
 * Reads the body of a request up to the limit.
 * @throws ERR_TOO_LARGE
 */
export async function readBytes(request: Request, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) throw new AppError('ERR_TOO_LARGE', `The body is larger than ${maxBytes / 1024} KiB.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * The same request with a bounded body, for a library that reads bodies of any size into memory before authentication.
 * @throws ERR_TOO_LARGE
 */
export async function withBoundedBody(request: Request, maxBytes: number): Promise<Request> {
  if (!request.body) return request
  const { url, method, headers, signal } = request
  const body = new Uint8Array(await readBytes(request, maxBytes))
  return new Request(url, { method, headers, body, signal })
}
