import { request } from 'playwright'
import { watchableApp } from '../../e2e/support/apps'
import type { DomainPlatform } from '../../e2e/support/domain-platform'
import type { RulesPatch } from '../../shared/rules-settings'
import type { GitServer } from '../../test/support/git-server'
import { api, deploymentThat } from '../../test/support/journey'
import type { RunningPlatform } from '../../test/support/platform'
import type { PlatformDatabase } from '../../test/support/platform-database'
import { until } from '../../test/support/processes'
import { createTestCa } from '../../test/support/test-ca'

/** What the photographs show: real projects with real builds, domains, certificates, rules and visitors. */

export const zone = 'storefront.example'
/** The CA refuses it by policy. No more labels than others have: Pebble loses its head over names that are shorter than one on its list. */
export const refusedName = 'storefront-outlet.example'
const ownName = `partners.${zone}`

/** A shop with what routers have to deal with: answers to keep, slow ones, errors, addresses that are not there. */
const shop = (version: string): Record<string, string> => ({
  ...watchableApp(version),
  'vercel.json': JSON.stringify({
    redirects: [{ source: '/sale', destination: '/products?tag=sale', statusCode: 307 }],
    headers: [{ source: '/(.*)', headers: [{ key: 'X-Content-Type-Options', value: 'nosniff' }] }],
  }),
  'server.js': `
const http = require('node:http')
const page = (title) => '<!doctype html><title>' + title + '</title><h1>' + title + '</h1><p>version ${version}</p>'
const products = JSON.stringify(Array.from({ length: 60 }, (_, id) => ({ id, name: 'Product ' + id, price: 10 + id })))
let orders = 0
const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0]
  const html = (status, title) => response.writeHead(status, { 'content-type': 'text/html' }).end(page(title))
  if (path === '/') return html(200, process.env.GREETING ?? 'Storefront')
  if (path === '/products') {
    response.setHeader('cache-control', 's-maxage=20, stale-while-revalidate=600')
    return response.writeHead(200, { 'content-type': 'application/json' }).end(products)
  }
  if (path === '/search') return setTimeout(() => html(200, 'Search'), 40 + (request.url.length % 7) * 35)
  if (path === '/checkout') return ++orders % 9 === 0 ? html(500, 'The payment provider did not answer') : html(201, 'Thank you')
  const product = /^\\/products\\/(\\d+)$/.exec(path)
  return product && Number(product[1]) < 60 ? html(200, 'Product ' + product[1]) : html(404, 'Not found')
})
server.listen(process.env.PORT, process.env.HOST, () => console.log('storefront listens'))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`,
})

const rules: RulesPatch = {
  redirects: [
    { source: '/blog/:slug*', destination: '/stories/:slug*', status: 308 },
    { source: '/spring-sale', destination: '/products?tag=spring', status: 307 },
  ],
  rewrites: [{ source: '/p/:id', destination: '/products/:id' }],
  headers: [{ source: '/(.*)', headers: [{ key: 'X-Frame-Options', value: 'DENY' }] }],
  rateLimits: [{ source: '/checkout', requests: 20, windowSeconds: 60 }],
  maxRequestsPerTarget: 200,
}

export interface Showroom {
  live: string
  failed: string
  running: string
}

async function deploy(platform: RunningPlatform, projectId: string): Promise<string> {
  const { body } = await api<{ deploymentId: string }>(platform, 'POST', '/deployments', { projectId, triggeredBy: 'user' })
  return body.deploymentId
}
const ended = (platform: RunningPlatform, id: string) =>
  deploymentThat(platform, id, 'has ended', ({ status }) => !['PENDING', 'BUILDING', 'DEPLOYING'].includes(status))

async function project(platform: RunningPlatform, git: GitServer, name: string, files: Record<string, string>): Promise<string> {
  const slug = name.toLowerCase().replaceAll(' ', '-')
  const { url } = await git.createRepo(slug, files)
  return (await api<{ projectId: string }>(platform, 'POST', '/projects', { name, repository: url })).body.projectId
}

/** Three projects: one with a history and a failed attempt, one that is building, one nobody has deployed. */
async function addProjects(platform: RunningPlatform, git: GitServer): Promise<Showroom> {
  const storefront = await project(platform, git, 'Storefront', shop('1'))
  for (const [key, scope] of [
    ['DATABASE_URL', 'runtime'],
    ['PUBLIC_API_ORIGIN', 'build'],
    ['GREETING', 'both'],
  ])
    await api(platform, 'PUT', `/projects/${storefront}/variables/${key}`, { value: 'kept to itself', scope })
  await ended(platform, await deploy(platform, storefront))
  await git.commit('storefront', { 'VERSION.txt': '2' }, { message: 'Show the delivery date at checkout' })
  const live = await deploy(platform, storefront)
  await ended(platform, live)
  await git.commit(
    'storefront',
    { 'build.js': "console.error('app/cart.js:14: totals is not defined')\nprocess.exit(1)" },
    { message: 'Move the cart to the server' },
  )
  const failed = await deploy(platform, storefront)
  await ended(platform, failed)
  await project(platform, git, 'Payments API', watchableApp('1'))
  const docs = await project(platform, git, 'Handbook', {
    ...watchableApp('1'),
    'build.js': "let n = 0; setInterval(() => console.log('\\u001b[36mpage\\u001b[0m ' + ++n + ' of the handbook rendered'), 200)",
  })
  const running = await deploy(platform, docs)
  await deploymentThat(platform, running, 'builds', ({ steps }) => steps.some(({ name, status }) => name === 'build' && status === 'running'))
  return { live, failed, running }
}

/** Domains in order with their certificates, automatic and uploaded; one whose records are wrong; one that the CA refuses. */
async function addDomains({ platform, dns }: DomainPlatform): Promise<void> {
  dns.set(zone, { A: ['127.0.0.1'], NS: [`ns1.${zone}`] })
  dns.set(refusedName, { A: ['127.0.0.1'], NS: [`ns1.${refusedName}`] })
  for (const name of [`www.${zone}`, ownName]) dns.set(name, { A: ['127.0.0.1'] })
  dns.set(`shop.${zone}`, { A: ['203.0.113.9'], AAAA: ['2001:db8::9'], CAA: ['0 issue "ca.example.net"'] })
  const add = (hostname: string, more: object = {}) => api(platform, 'POST', '/projects/storefront/domains', { hostname, ...more })
  await add(zone)
  await add(`www.${zone}`, { redirectTo: zone })
  await add(`shop.${zone}`)
  await add(refusedName)
  await add(ownName)
  const ca = await createTestCa('Partner Trust CA')
  const pair = await ca.leaf([ownName], { notAfter: new Date(Date.now() + 12 * 86_400_000) })
  const upload = { domain: ownName, certificate: pair.certificatePem + ca.intermediatePem, privateKey: pair.keyPem }
  const { status } = await api(platform, 'POST', '/certificates', upload)
  if (status !== 201) throw new Error(`the certificate of ${ownName} was answered with ${status}`)
  await api(platform, 'POST', '/dns-providers', { name: 'Cloudflare of the shop', credentials: { kind: 'cloudflare', apiToken: 'kept to itself' } })
  for (const name of [zone, `www.${zone}`]) {
    let last: { url?: string } = {}
    await until(`${name} is served over HTTPS`, 90_000, async () => {
      last = (await api<{ url: string }>(platform, 'GET', `/domains/${name}`)).body
      return last.url?.startsWith('https:')
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}\n--- platform:\n${platform.output().slice(-4000)}`)
    })
  }
  await until(`the CA has refused ${refusedName}`, 90_000, async () => (await certificateOf(platform, refusedName))?.problem)
}

/** The newest certificate of a domain. */
export async function certificateOf(platform: RunningPlatform, hostname: string): Promise<{ id: string; problem: unknown } | undefined> {
  const { body } = await api<{ items: { id: string; hostname: string; problem: unknown }[] }>(platform, 'GET', '/certificates')
  return body.items.find((one) => one.hostname === hostname)
}

const agents = [
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0',
]
const walk = [
  '/',
  '/products',
  '/products/12',
  '/search?q=lamp',
  '/products',
  '/p/31',
  '/',
  '/spring-sale',
  '/products',
  '/checkout',
  '/favicon.ico',
  '/products/7',
]
const betweenVisitsMs = 150

/** Visitors who walk through the shop until they are sent away. */
async function openDoors(platform: RunningPlatform): Promise<{ close(): Promise<void> }> {
  const host = `storefront.localhost:${platform.edgePort}`
  const contexts = await Promise.all(
    agents.map((userAgent) => request.newContext({ baseURL: `http://127.0.0.1:${platform.edgePort}`, userAgent, extraHTTPHeaders: { host } })),
  )
  let open = true
  const walking = Promise.all(
    contexts.map(async (context, who) => {
      for (let step = who * 4; open; step++) {
        const path = walk[step % walk.length] as string
        const method = path === '/checkout' ? 'POST' : 'GET'
        await context.fetch(path, { method, maxRedirects: 0 }).catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, betweenVisitsMs * (1 + ((step * 7) % 5))))
      }
    }),
  )
  return {
    async close() {
      open = false
      await walking
      for (const context of contexts) await context.dispose()
    },
  }
}

/** Furnishes an empty installation, visitors included: they come from the first deployment on and are gone in the end. */
export async function furnish(world: DomainPlatform, git: GitServer): Promise<Showroom> {
  const { platform } = world
  const ids = await addProjects(platform, git)
  await api(platform, 'PATCH', '/projects/storefront/rules', rules)
  const doors = await openDoors(platform)
  try {
    await addDomains(world)
    await until('a few minutes of traffic are counted', 240_000, async () => {
      const { body } = await api<{ total: { requests: number } }>(platform, 'GET', '/projects/storefront/traffic')
      return body.total.requests > 400
    })
  } finally {
    await doors.close()
  }
  return ids
}

export const closedRules = { protection: { kind: 'passkey', relyingParty: 'storefront.example', users: [{ name: 'reviewer' }] } }

/** Stores rules that cannot be read; a change of another project makes the control plane publish a new table. */
export async function overwriteRules(platform: RunningPlatform, database: PlatformDatabase, json: object): Promise<void> {
  const problems = async () => JSON.stringify((await api<{ edgeProblems: unknown }>(platform, 'GET', '/projects/storefront')).body.edgeProblems)
  const before = await problems()
  await database.storeRules('storefront', JSON.stringify(json))
  await api(platform, 'PATCH', '/projects/handbook/rules', { cleanUrls: true })
  await until('the project tells of it', 20_000, async () => (await problems()) !== before)
}
