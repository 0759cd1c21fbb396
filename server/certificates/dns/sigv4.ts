import { createHash, createHmac } from 'node:crypto'

export interface SignedRequest {
  method: string
  url: URL
  body: string
  /** Headers to sign in addition to host and date. */
  headers?: Record<string, string>
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()
/** RFC 3986 §2.3 encoding as AWS requires it: also encodes the five characters that encodeURIComponent leaves. */
const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/**
 * Headers that sign a request with AWS Signature Version 4.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signV4(
  request: SignedRequest,
  options: { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined; region: string; service: string; now: Date },
): Record<string, string> {
  const { method, url, body } = request
  const stamp = options.now.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const date = stamp.slice(0, 8)
  const headers: Record<string, string> = {
    ...request.headers,
    host: url.host,
    'x-amz-date': stamp,
    ...(options.sessionToken ? { 'x-amz-security-token': options.sessionToken } : {}),
  }
  const names = Object.keys(headers)
    .map((name) => name.toLowerCase())
    .sort()
  const signed = names.join(';')
  const query = [...url.searchParams]
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .sort()
    .join('&')
  const canonical = [
    method,
    url.pathname
      .split('/')
      .map((part) => encode(decodeURIComponent(part)))
      .join('/'),
    query,
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    signed,
    sha256(body),
  ].join('\n')
  const scope = `${date}/${options.region}/${options.service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n')
  const key = ['aws4_request', options.service, options.region, date].reduceRight<Buffer>(
    (previous, part) => hmac(previous, part),
    Buffer.from(`AWS4${options.secretAccessKey}`),
  )
  const signature = createHmac('sha256', key).update(text).digest('hex')
  const { host: _, ...sent } = headers
  return { ...sent, authorization: `AWS4-HMAC-SHA256 Credential=${options.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}` }
}
