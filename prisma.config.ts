import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'prisma/config'

// Prisma downloads its native schema engine from binaries.prisma.sh when it is installed. Where that host cannot be reached, the same engine
// runs as WebAssembly (tools/schema-engine.mjs).
const engines = fileURLToPath(new URL('./node_modules/@prisma/engines', import.meta.url))
const hasNativeEngine = existsSync(engines) && readdirSync(engines).some((name) => name.startsWith('schema-engine-'))
if (!hasNativeEngine) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= fileURLToPath(new URL('./tools/schema-engine.mjs', import.meta.url))

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://postgres@localhost:5432/switchyard' },
})
