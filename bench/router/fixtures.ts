import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import type { Route, RouteTable } from '@/shared/route-table'

/** wrk names the host of its URL in the TLS handshake, and it must resolve. */
export const host = 'localhost'

export interface Fixtures {
  directory: string
  chainPem: string
  keyPem: string
  /** 2k.bin, 100k.bin and big.bin (1 MiB, for who reads slowly), as text of no pattern that would be compressed on the way. */
  files: string
}

export function makeFixtures(directory: string): Fixtures {
  const files = path.join(directory, 'files')
  mkdirSync(files, { recursive: true })
  writeFileSync(path.join(files, '2k.bin'), randomBytes(2048))
  writeFileSync(path.join(files, '100k.bin'), randomBytes(102_400))
  writeFileSync(path.join(files, 'big.bin'), randomBytes(1_048_576))
  const [key, chain] = [path.join(directory, 'key.pem'), path.join(directory, 'chain.pem')]
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-days', '30', ...subject, '-keyout', key, '-out', chain], { stdio: 'ignore' })
  writeFileSync(path.join(directory, 'both.pem'), readFileSync(chain, 'utf8') + readFileSync(key, 'utf8'))
  return { directory, chainPem: readFileSync(chain, 'utf8'), keyPem: readFileSync(key, 'utf8'), files }
}

/** Rules as a real project has them: none matches the measured path, every one has to be ruled out. */
const policy: ProjectRules = {
  ...defaultProjectRules,
  redirects: [
    { source: '/old/:path*', destination: '/new/:path*', status: 308 },
    { source: '/blog/:slug', destination: '/posts/:slug', status: 301 },
  ],
  rewrites: [{ source: '/api/:path*', destination: '/internal/:path*' }],
  headers: [{ source: '/_next/:path*', headers: [{ key: 'Cache-Control', value: 'public, max-age=31536000, immutable' }] }],
}

/** A table of `count` hosts with rules, the measured one among them. */
export function makeTable(fixtures: Fixtures, count: number, backendPorts: number[], httpsPort: number): RouteTable {
  const route = (name: string, extra: Partial<Route> = {}): Route => ({
    host: name,
    teamId: 'team',
    projectId: `project-${name}`,
    projectName: name,
    deploymentId: `deployment-${name}`,
    state: 'live',
    targets: backendPorts.map((port, i) => ({ instanceId: `instance-${i}-${name}`, host: '127.0.0.1', port })),
    policy: 'rules',
    ...extra,
  })
  const digest = createHash('sha256').update(fixtures.files).digest('hex')
  const others = Array.from({ length: Math.max(0, count - 2) }, (_, i) => route(`d${i}.example.test`))
  const content = { digest: `sha256:${digest}`, directory: fixtures.files, spa: false }
  return {
    version: 1,
    generatedAt: new Date().toISOString(),
    dashboardUrl: 'http://localhost:3000',
    httpsPort,
    policies: { rules: policy },
    certificates: [{ id: 'bench', names: [host], notAfter: Date.now() + 20 * 86_400_000 }],
    routes: [route(host, { hstsSeconds: 31_536_000 }), route('static.example.test', { content }), ...others],
  }
}
