import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const alias = {
  '@': fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, ''),
  'server-only': fileURLToPath(new URL('./test/server-only.ts', import.meta.url)),
}

// unit: no service, beside the code. integration: real Postgres, Docker, Git (`*.int.test.ts`), started by test/global-setup.ts.
export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['{shared,server,builder,runtime,router,storage,cli,app,test,scripts}/**/*.test.{ts,tsx}'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**', 'test/fixtures/**'],
          maxWorkers: 2,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          include: ['{server,builder,runtime,router,storage,cli,test}/**/*.int.test.ts'],
          exclude: ['**/node_modules/**', 'test/fixtures/**'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One file at a time: each may fill both cores of a small machine with builds and containers.
          fileParallelism: false,
        },
      },
    ],
  },
})
