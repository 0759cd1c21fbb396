import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dnsProviderInput } from '@/shared/certificates'
import type { DnsCredentials } from '@/shared/dns-providers'
import { domainInput } from '@/shared/domains'
import { forgeInput } from '@/shared/forges'
import { rulesPatch } from '@/shared/rules-settings'
import { deploymentInput, projectInput, projectPatch, variableInput } from '@/shared/views'
import { webhookInput } from '@/shared/webhooks'
import { createTestApi, type TestApi } from '@/test/support/api'
import { filledColumns, linesWith, readDump, sealedColumns } from '@/test/support/dump'
import { createTestCa } from '@/test/support/test-ca'
import type { Actor } from '../actor'

let api: TestApi
let owner: Actor
const canaries: Record<string, string> = {}
/** A distinct secret per column, to find leaks in the dump. */
function canary(place: string): string {
  canaries[place] = `canary@${place.replaceAll(' ', '-')}/4711`
  return canaries[place]
}

const dnsCredentials = (): DnsCredentials[] => [
  { kind: 'cloudflare', apiToken: canary('cloudflare token') },
  { kind: 'route53', accessKeyId: 'AKIA', secretAccessKey: canary('route53 key'), hostedZoneId: undefined },
  { kind: 'digitalocean', apiToken: canary('digitalocean token') },
  {
    kind: 'rfc2136',
    server: 'ns.example.net',
    port: 53,
    keyName: 'acme',
    keySecret: Buffer.from(canary('tsig secret')).toString('base64'),
    zone: undefined,
  },
  { kind: 'webhook', url: `https://hook.example.net/?token=${canary('webhook url')}`, secret: canary('webhook secret') },
]
/** Sealed columns filled by certificate orders; covered by the tests of certificates. */
const elsewhere = ['AcmeAccount.keyCiphertext', 'Certificate.orderKeyCiphertext', 'KeptCertificate.keyCiphertext', 'Release.variables']

beforeAll(async () => {
  api = await createTestApi({
    email: 'owner@example.org',
    password: canary('bootstrap password'),
    apiKey: `sy_${Buffer.from(canary('bootstrap key')).toString('base64url')}`,
  })
  owner = await api.actorOf(api.boot.teamId, 'owner')
})
afterAll(() => api.close())

test('a dump of the database alone opens nothing: no secret that was given or issued through the API can be read in it', async () => {
  const { platform, database } = api
  const project = await platform.projects.create(
    owner,
    projectInput.parse({
      name: 'shop',
      repository: `https://ada:${encodeURIComponent(canary('repository password'))}@git.switchyard.invalid/shop.git`,
    }),
  )
  const other = await platform.projects.create(owner, projectInput.parse({ name: 'other' }))
  const repository = `https://${encodeURIComponent(canary('repository token'))}@git.switchyard.invalid/other.git`
  await platform.projects.update(owner, other.id, projectPatch.parse({ repository }))
  for (const id of [project.id, other.id]) await platform.deployments.create(owner, deploymentInput.parse({ projectId: id }))
  await platform.variables.set(owner, project.id, variableInput.parse({ key: 'TOKEN', value: canary('variable') }))
  canaries['api key'] = (await platform.apiKeys.create(owner, { name: 'ci', role: 'member' })).key
  await platform.rules.update(
    owner,
    project.id,
    rulesPatch.parse({ protection: { kind: 'basic', users: [{ name: 'guest', password: canary('basic password') }] } }),
  )
  const { newTokens } = await platform.rules.update(owner, other.id, rulesPatch.parse({ protection: { kind: 'token', create: 1 } }))
  canaries['access token'] = newTokens[0] ?? ''
  const { id: environmentId } = await api.database.prisma.environment.findFirstOrThrow({ where: { projectId: other.id, kind: 'PRODUCTION' } })
  const link = await platform.shareLinks.create(owner, environmentId, { name: null, days: 1 })
  canaries['share link'] = new URL(link.url).searchParams.get('switchyard_token') ?? ''
  for (const credentials of dnsCredentials()) {
    const input = dnsProviderInput.parse({ name: credentials.kind, credentials })
    await platform.dnsProviders.create(owner, input)
  }
  const forge = forgeInput.parse({ provider: 'gitea', apiUrl: 'https://1.1.1.1', repository: 'acme/shop', token: canary('token of a Git host') })
  await platform.forges.set(owner, project.id, forge)
  const hook = webhookInput.parse({ url: `https://1.1.1.1/${canary('webhook address')}`, kinds: ['*'] })
  const { id: webhookId } = await platform.webhooks.create(owner, project.id, hook)
  canaries['previous webhook secret'] = (await platform.webhooks.secret(owner, webhookId)).secret
  canaries['webhook secret of events'] = (await platform.webhooks.rotate(owner, webhookId, { overlapHours: 1 })).secret
  const hostname = 'shop.example.net'
  await platform.domains.add(owner, project.id, domainInput.parse({ hostname }))
  await database.prisma.domain.updateMany({ data: { state: 'verified' } })
  const ca = await createTestCa()
  const { certificatePem, keyPem } = await ca.leaf([hostname])
  await platform.certificates.upload(owner, { domain: hostname, certificate: certificatePem + ca.intermediatePem, privateKey: keyPem })
  canaries['private key'] = keyPem.split('\n')[2] ?? ''
  const claim = await platform.idempotency.claim(owner, 'create-key-once', Uint8Array.from(randomBytes(32)))
  if (claim.state !== 'new') throw new Error('the key was used before')
  await claim.run.complete({ status: 201, headers: [], body: JSON.stringify({ key: canary('stored answer') }) })
  const before = await platform.gitEvents.hook(owner, project.id)
  const { secret } = await platform.gitEvents.rotateSecret(owner, { project: project.id, keepPreviousMinutes: 5 })
  Object.assign(canaries, { 'git hook secret': secret, 'previous git hook secret': before.secret })
  const deployHook = { project: project.id, name: 'cms', environment: 'production' }
  canaries['deploy hook token'] = (await platform.gitEvents.createDeployHook(owner, deployHook)).url.split('/').at(-1) ?? ''
  const dump = await readDump(database.pool)
  // A new sealed column must get a test secret above.
  expect([...(await filledColumns(database.pool)), ...elsewhere].sort()).toEqual(await sealedColumns(database.pool))
  for (const [place, secret] of Object.entries(canaries)) {
    expect(secret.length, place).toBeGreaterThan(15)
    expect(linesWith(dump, secret), `the ${place} can be read`).toEqual([])
  }
})
