import Fastify from 'fastify'

const app = Fastify({ logger: true, forceCloseConnections: 'idle' })

app.get('/', async () => ({ hello: process.env.GREETING ?? 'world', from: 'fastify' }))
app.get('/health', async () => ({ ok: true }))
app.get('/slow', async (request) => {
  const milliseconds = Math.min(Number(request.query.ms) || 1000, 10_000)
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  return { waited: milliseconds }
})

// The platform sends SIGTERM once no new request comes: finish those in flight, then leave.
for (const signal of ['SIGTERM', 'SIGINT'])
  process.once(signal, async () => {
    await app.close()
    process.exit(0)
  })

await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
