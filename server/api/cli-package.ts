import { readFile } from 'node:fs/promises'
import { AppError } from '@/shared/errors'
import { getPlatform } from '../platform'
import { etagOf, isFresh } from './etag'
import { errorResponse, newRequestId } from './http-error'

/**
 * Serves the `switchyard` command of this version as an npm package: `npm install -g ADDRESS/cli.tgz`. Public, because the code is public.
 * Caches must revalidate: the URL stays the same after an update.
 */
export async function handleCliPackage(request: Request): Promise<Response> {
  const content = await readFile(getPlatform().settings.cliPackage).catch(() => null)
  if (!content) {
    const nextAction = 'Build the platform (npm run build), or use bin/switchyard in its clone.'
    return errorResponse(new AppError('ERR_UNAVAILABLE', 'The package of the command is not built.', { nextAction }), newRequestId())
  }
  const etag = etagOf(content)
  const headers = { etag, 'cache-control': 'no-cache' }
  if (isFresh(request.headers, etag)) return new Response(null, { status: 304, headers })
  return new Response(request.method === 'HEAD' ? null : new Uint8Array(content), {
    headers: { ...headers, 'content-type': 'application/gzip', 'content-length': String(content.byteLength) },
  })
}
