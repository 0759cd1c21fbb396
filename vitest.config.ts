import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const alias = {
  '@': fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, ''),
  'server-only': fileURLToPath(new URL('./test/server-only.ts', import.meta.url)),
}

const services = {
  exclude: ['**/node_modules/**', 'test/fixtures/**'],
  globalSetup: ['test/global-setup.ts'],
  // One file at a time: each may fill both cores with builds and containers. `npm test` runs two such lanes (scripts/test.mjs).
  fileParallelism: false,
}
const minuteMs = 60_000

// unit: no service, beside the code. integration: real Postgres, Docker, Git (`*.int.test.ts`), started by test/global-setup.ts.
// long: the same services, proofs that take minutes (`*.long.test.ts`); `npm run test:long` runs them, `npm test` does not.
export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['{shared,server,builder,runtime,router,storage,cli,app,test,scripts}/**/*.test.{ts,tsx}'],
          exclude: ['**/*.{int,long}.test.ts', '**/node_modules/**', 'test/fixtures/**'],
          maxWorkers: 2,
          // A guard against tests that hang, not a measure: a busy machine is many times slower than a quiet one.
          testTimeout: minuteMs / 2,
        },
      },
      {
        resolve: { alias },
        test: {
          ...services,
          name: 'integration',
          include: ['{server,builder,runtime,router,storage,cli,test}/**/*.int.test.ts'],
          testTimeout: 2 * minuteMs,
          hookTimeout: 2 * minuteMs,
        },
      },
      {
        resolve: { alias },
        test: {
          ...services,
          name: 'long',
          include: ['{server,builder,runtime,router,storage,cli,test}/**/*.long.test.ts'],
          testTimeout: 30 * minuteMs,
          hookTimeout: 10 * minuteMs,
        },
      },
    ],
  },
})
