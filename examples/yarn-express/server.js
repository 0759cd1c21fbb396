const express = require('express')

const app = express()
app.get('/', (_request, response) => response.json({ hello: process.env.GREETING ?? 'world', from: 'express' }))
app.get('/health', (_request, response) => response.json({ ok: true }))

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1')
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => process.exit(0)))
