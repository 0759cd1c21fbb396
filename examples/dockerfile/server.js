const { createServer } = require('node:http')

const server = createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${process.env.GREETING ?? 'Hello'} from a Dockerfile, as user ${process.getuid()}\n`)
})

// EXPOSE says 8080; a PORT in the environment wins.
server.listen(Number(process.env.PORT ?? 8080), '0.0.0.0')
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => process.exit(0)))
