import { createHmac } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startApi } from '@/test/support/json-api'
import { createCloudflare } from './cloudflare'
import { type ContractServer, credentials, describeDnsProvider } from './contract'
import { createDigitalOcean } from './digitalocean'
import { pinHost } from './guard'
import { openDnsProvider } from './index'
import { DnsProviderError } from './provider'
import { createRfc2136 } from './rfc2136'
import { createRoute53 } from './route53'
import { signV4 } from './sigv4'
import { createWebhook } from './webhook'

const zone = 'example.test'
const key = (wrong: boolean | undefined) => (wrong ? credentials.bad : credentials.good)

/** As https://developers.cloudflare.com/api/resources/dns/subresources/records/ says. */
async function cloudflare(): Promise<ContractServer> {
  let records: { id: string; name: string; content: string }[] = []
  let next = 1
  const fail = (status: number, code: number, message: string) => ({ status, body: { success: false, errors: [{ code, message }], result: null } })
  const ok = (result: unknown) => ({ status: 200, body: { success: true, errors: [], result } })
  const api = await startApi(({ method, url, headers, body }) => {
    if (headers.authorization !== `Bearer ${credentials.good}`) return fail(403, 9109, 'Invalid access token')
    if (url.pathname === '/zones') return ok(url.searchParams.get('name') === zone ? [{ id: 'z1', name: zone }] : [])
    const path = /^\/zones\/z1\/dns_records(?:\/(\w+))?$/.exec(url.pathname)
    if (!path) return fail(404, 7003, 'Could not route to this path')
    if (method === 'DELETE') {
      if (!records.some((one) => one.id === path[1])) return fail(404, 81044, 'Record does not exist.')
      records = records.filter((one) => one.id !== path[1])
      return ok({ id: path[1] })
    }
    if (method === 'GET') return ok(records.filter((one) => one.name === url.searchParams.get('name')))
    const { type, name, content, ttl } = JSON.parse(body) as { type: string; name: string; content: string; ttl: number }
    if (type !== 'TXT' || !/^".*"$/.test(content) || !(ttl === 1 || ttl >= 60)) return fail(400, 9005, 'Invalid record')
    if (records.some((one) => one.name === name && one.content === content)) return fail(400, 81058, 'An identical record already exists.')
    records.push({ id: `r${next++}`, name, content })
    return ok(records.at(-1))
  })
  return {
    zone,
    provider: (o) => createCloudflare({ apiToken: key(o?.wrongCredentials) }, api.url),
    shown: async (name) => records.filter((one) => one.name === name).map((one) => one.content.slice(1, -1)),
    close: api.close,
  }
}

/** As https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records says. */
async function digitalOcean(): Promise<ContractServer> {
  let records: { id: number; type: string; name: string; data: string }[] = []
  let next = 1
  const full = (name: string) => (name === '@' ? zone : `${name}.${zone}`)
  const api = await startApi(({ method, url, headers, body }) => {
    if (headers.authorization !== `Bearer ${credentials.good}`)
      return { status: 401, body: { id: 'unauthorized', message: 'Unable to authenticate you' } }
    const path = /^\/v2\/domains\/([^/]+)(\/records(?:\/(\d+))?)?$/.exec(url.pathname)
    if (!path || path[1] !== zone) return { status: 404, body: { id: 'not_found', message: 'The resource you requested could not be found.' } }
    if (!path[2]) return { status: 200, body: { domain: { name: zone } } }
    if (method === 'DELETE') {
      records = records.filter((one) => one.id !== Number(path[3]))
      return { status: 204 }
    }
    if (method === 'GET') return { status: 200, body: { domain_records: records.filter((one) => full(one.name) === url.searchParams.get('name')) } }
    const { type, name, data, ttl } = JSON.parse(body) as { type: string; name: string; data: string; ttl: number }
    if (type !== 'TXT' || name.endsWith(zone) || ttl < 30) return { status: 422, body: { id: 'unprocessable_entity', message: 'Invalid record' } }
    records.push({ id: next++, type, name, data })
    return { status: 201, body: { domain_record: records.at(-1) } }
  })
  return {
    zone,
    provider: (o) => createDigitalOcean({ apiToken: key(o?.wrongCredentials) }, api.url),
    shown: async (name) => records.filter((one) => full(one.name) === name).map((one) => one.data),
    close: api.close,
  }
}

/** As https://docs.aws.amazon.com/Route53/latest/APIReference/ says; the signature is made again from the request as it arrived. */
async function route53(): Promise<ContractServer> {
  const sets = new Map<string, { ttl: string; values: string[] }>()
  let polls = 0
  const fail = (status: number, code: string, message: string) => ({
    status,
    body: `<?xml version="1.0"?><ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  })
  const setXml = (name: string, set: { ttl: string; values: string[] }) =>
    `<ResourceRecordSet><Name>${name}.</Name><Type>TXT</Type><TTL>${set.ttl}</TTL><ResourceRecords>${set.values
      .map((one) => `<ResourceRecord><Value>${one.replace(/"/g, '&quot;')}</Value></ResourceRecord>`)
      .join('')}</ResourceRecords></ResourceRecordSet>`
  const change = (body: string) => {
    const wanted = new Map(sets)
    for (const [, action, name = '', ttl = '', values = ''] of body.matchAll(
      /<Change><Action>(\w+)<\/Action><ResourceRecordSet><Name>(.*?)\.<\/Name><Type>TXT<\/Type><TTL>(\d+)<\/TTL><ResourceRecords>(.*?)<\/ResourceRecords>/g,
    )) {
      const list = [...values.matchAll(/<Value>(.*?)<\/Value>/g)].map((match) => (match[1] ?? '').replace(/&quot;/g, '"'))
      const current = wanted.get(name)
      const same = current && current.ttl === ttl && JSON.stringify(current.values) === JSON.stringify(list)
      if (action === 'DELETE' && !same) return fail(400, 'InvalidChangeBatch', 'Tried to delete a set that is not there')
      if (action === 'CREATE' && current) return fail(400, 'InvalidChangeBatch', 'Tried to create a set that already exists')
      if (action === 'DELETE') wanted.delete(name)
      else wanted.set(name, { ttl, values: list })
    }
    sets.clear()
    for (const [name, set] of wanted) sets.set(name, set)
    polls = 0
    return {
      status: 200,
      body: '<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></ChangeResourceRecordSetsResponse>',
    }
  }
  const api = await startApi(({ method, url, headers, body }) => {
    url.host = String(headers.host)
    const at = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date']))
    const now = at ? new Date(`${at[1]}-${at[2]}-${at[3]}T${at[4]}:${at[5]}:${at[6]}Z`) : new Date(0)
    const again = signV4(
      { method, url, body, headers: body ? { 'content-type': String(headers['content-type']) } : {} },
      { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: credentials.good, region: 'us-east-1', service: 'route53', now },
    )
    if (headers.authorization !== again.authorization) return fail(403, 'SignatureDoesNotMatch', 'The request signature does not match')
    if (url.pathname.endsWith('/hostedzonesbyname'))
      return {
        status: 200,
        // The next zone in order when there is none of the name: the answer must be looked at.
        body: `<ListHostedZonesByNameResponse><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>${zone}.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone></HostedZones></ListHostedZonesByNameResponse>`,
      }
    if (url.pathname.includes('/change/'))
      return {
        status: 200,
        body: `<GetChangeResponse><ChangeInfo><Status>${polls++ === 0 ? 'PENDING' : 'INSYNC'}</Status></ChangeInfo></GetChangeResponse>`,
      }
    if (method === 'POST') return change(body)
    const name = url.searchParams.get('name') ?? ''
    const set = sets.get(name)
    const shown = set ? setXml(name, set) : setXml(`zzz.${zone}`, { ttl: '300', values: ['"other"'] })
    return { status: 200, body: `<ListResourceRecordSetsResponse><ResourceRecordSets>${shown}</ResourceRecordSets></ListResourceRecordSetsResponse>` }
  })
  return {
    zone,
    provider: (o) => createRoute53({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: key(o?.wrongCredentials) }, api.url, 10),
    shown: async (name) => (sets.get(name)?.values ?? []).map((one) => one.slice(1, -1)),
    close: api.close,
  }
}

async function webhook(): Promise<ContractServer> {
  const records = new Map<string, Set<string>>()
  const api = await startApi(({ headers, body }) => {
    const stamp = String(headers['x-switchyard-timestamp'])
    const expected = `sha256=${createHmac('sha256', credentials.good).update(`${stamp}.${body}`).digest('hex')}`
    const late = Math.abs(Date.now() / 1000 - Number(stamp)) > 60
    if (late || headers['x-switchyard-signature'] !== expected) return { status: 401, body: { error: 'bad signature' } }
    const { action, name, value } = JSON.parse(body) as { action: string; name: string; value: string }
    if (!name.endsWith(zone)) return { status: 404, body: { error: 'no such zone' } }
    const values = records.get(name) ?? new Set()
    if (action === 'present') records.set(name, values.add(value))
    else values.delete(value)
    return { status: 204 }
  })
  return {
    zone,
    provider: (o) => createWebhook({ url: `${api.url}/dns`, secret: key(o?.wrongCredentials), allowPrivateNetwork: true }),
    shown: async (name) => [...(records.get(name) ?? [])],
    close: api.close,
  }
}

describeDnsProvider('Cloudflare', cloudflare)
describeDnsProvider('DigitalOcean', digitalOcean)
describeDnsProvider('Route 53', route53)
describeDnsProvider('webhook', webhook)

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and its test suite: get-vanilla-query-order-key-case. */
test('Signature Version 4 is that of AWS’s own example', () => {
  const headers = signV4(
    { method: 'GET', url: new URL('https://example.amazonaws.com/?Param2=value2&Param1=value1'), body: '' },
    {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      region: 'us-east-1',
      service: 'service',
      now: new Date('2015-08-30T12:36:00Z'),
    },
  )
  expect(headers.authorization).toBe(
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  )
})

describe('where a webhook may lead', () => {
  test('never to metadata services and the like, to private networks only for operators', async () => {
    for (const host of ['169.254.169.254', '[fd00:ec2::254]', '0.0.0.0', '224.0.0.1', '::ffff:169.254.169.254'])
      await expect(pinHost(host, true)).rejects.toThrow('never connected to')
    for (const host of ['127.0.0.1', '10.1.2.3', '[::1]', 'localhost', '::ffff:10.0.0.1']) {
      await expect(pinHost(host, false)).rejects.toThrow('private network')
      await expect(pinHost(host, true)).resolves.toBeTruthy()
    }
    await expect(pinHost('1.1.1.1', false)).resolves.toBe('1.1.1.1')
  })

  test('a redirect is not followed', async () => {
    let reached = false
    const inner = await startApi(() => {
      reached = true
      return { status: 204 }
    })
    const { createServer } = await import('node:http')
    const outer = createServer((_, response) => response.writeHead(307, { location: inner.url }).end())
    await new Promise<void>((resolve) => outer.listen(0, '127.0.0.1', resolve))
    const { port } = outer.address() as { port: number }
    const provider = createWebhook({ url: `http://127.0.0.1:${port}/`, secret: 'x', allowPrivateNetwork: true })
    await expect(provider.present('a.example.test', 'v', AbortSignal.timeout(5_000))).rejects.toThrow('answered 307')
    expect(reached).toBe(false)
    outer.close()
    await inner.close()
  })
})

describe('what an error shows', () => {
  const present = async (kind: string, credentials: object) => {
    const provider = openDnsProvider(kind, JSON.stringify({ credentials, allowPrivateNetwork: true }))
    const error = await provider.present(`_acme-challenge.${zone}`, 'x', AbortSignal.timeout(5_000)).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(DnsProviderError)
    const { message, cause } = error as DnsProviderError
    return `${message} ${String(cause)}`
  }

  test('a webhook that repeats its URL and its secret, also cut off, reveals none of them', async () => {
    const token = 'tok/en+0123456789'
    const secret = 'a-webhook-secret-of-34-characters!'
    const path = 'T0123ABCD-in-the-path'
    const api = await startApi(({ url }) => ({ status: 500, body: `denied ${url.href} ${secret} ${'.'.repeat(20)} ${secret}`.slice(0, 190) }))
    const url = `${api.url.replace('//', '//ada:pass-word@')}/hooks/${path}?token=${encodeURIComponent(token)}`
    const said = await present('webhook', { url, secret })
    await api.close()
    expect(said).toContain('the webhook answered 500')
    expect(said).toContain('/hooks/')
    for (const part of [token, encodeURIComponent(token), secret, secret.slice(0, 12), path, 'pass-word']) expect(said).not.toContain(part)
  })

  test('a token that the HTTP client refuses is not in the cause of the error', async () => {
    expect(await present('cloudflare', { apiToken: 'cut-by\na-line-end' })).not.toMatch(/cut-by|a-line-end/)
    expect(await present('digitalocean', { apiToken: 'cut-by\na-line-end' })).not.toMatch(/cut-by|a-line-end/)
  })
})

test('a name server that trickles its answer is given up at the deadline', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(Buffer.from([0xff, 0xff]))
    const timer = setInterval(() => socket.write(Buffer.alloc(1)), 20)
    socket.on('close', () => clearInterval(timer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const provider = createRfc2136(
    { server: '127.0.0.1', port, zone, keyName: 'acme', keySecret: 'c2VjcmV0', allowPrivateNetwork: true },
    { deadlineMs: 200 },
  )
  await expect(provider.present(`_acme-challenge.${zone}`, 'x', AbortSignal.timeout(5_000))).rejects.toMatchObject({ name: 'DnsProviderError' })
  await new Promise((resolve) => server.close(resolve))
})
