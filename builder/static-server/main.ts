import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import path from 'node:path'
import { parseArgs } from 'node:util'
import sirv from 'sirv'

// Serves a static site from an artifact. Bundled into one file that is added to each static artifact; independent of the rest of the platform.

const { values } = parseArgs({ options: { root: { type: 'string', default: '.' }, spa: { type: 'boolean', default: false } } })
const root = path.resolve(values.root)
const notFoundPage = path.join(root, '404.html')
const hashedName = /[.-][\w-]{8,}\.(?:js|mjs|css|woff2?|png|jpe?g|webp|avif|svg|gif|ico|wasm)$/i
const drainMs = 10_000

const serve = sirv(root, {
  etag: true,
  gzip: true,
  brotli: true,
  dotfiles: false,
  dev: false,
  setHeaders(response, pathname) {
    // Files with a content hash in their name never change; all others must be revalidated.
    response.setHeader('cache-control', hashedName.test(pathname) ? 'public, max-age=31536000, immutable' : 'public, max-age=0, must-revalidate')
  },
})

/** Responds to unknown paths: page requests (no extension, Accept: HTML) get index.html of an SPA, others the site's 404 page. */
function answerUnknown(request: IncomingMessage, response: ServerResponse): void {
  const pathname = (request.url ?? '/').split('?')[0] ?? '/'
  const wantsPage = (request.headers.accept ?? '*/*').split(',').some((type) => /text\/html|\*\/\*/.test(type))
  const index = path.join(root, 'index.html')
  if (values.spa && wantsPage && path.extname(pathname) === '' && existsSync(index)) sendPage(response, index, 200, request)
  else if (existsSync(notFoundPage)) sendPage(response, notFoundPage, 404, request)
  else response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404: there is nothing at this address.\n')
}

function sendPage(response: ServerResponse, file: string, status: number, request: IncomingMessage): void {
  const { size, mtimeMs } = statSync(file)
  const etag = `W/"${size}-${Math.trunc(mtimeMs)}"`
  if (status === 200 && request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end()
    return
  }
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': size,
    'cache-control': 'public, max-age=0, must-revalidate',
    ...(status === 200 ? { etag } : {}),
  })
  if (request.method === 'HEAD') response.end()
  else createReadStream(file).pipe(response)
}

const server = createServer((request, response) => {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD', 'content-type': 'text/plain; charset=utf-8' }).end('405: this site only answers GET and HEAD.\n')
    return
  }
  serve(request, response, () => answerUnknown(request, response))
})

// biome-ignore lint/style/noProcessEnv: a program of its own inside an artifact; its address comes from whoever runs it
const { PORT, HOST } = process.env
server.listen(Number(PORT ?? 3000), HOST ?? '0.0.0.0')

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
    setTimeout(() => process.exit(0), drainMs).unref()
  })
