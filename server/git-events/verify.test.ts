import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { deliveryIdOf, missingProof, toleranceSeconds, type Verdict, verifyDelivery } from './verify'

const key = Buffer.alloc(32, 7)
const secret = `whsec_${key.toString('base64')}`
const body = Buffer.from('{"ref":"refs/heads/main"}')
const other = Buffer.from('{"ref":"refs/heads/evil"}')
const hex = (text: string | Buffer, content = body) => createHmac('sha256', text).update(content).digest('hex')
const now = Date.UTC(2026, 10, 30)
const seconds = now / 1000

function standard(options: { id?: string; at?: number; with?: string | Buffer; content?: Buffer } = {}): Record<string, string> {
  const { id = 'a', at = seconds, content = body } = options
  const signature = createHmac('sha256', options.with ?? key)
    .update(`${id}.${at}.`)
    .update(content)
    .digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,AAAA v1,${signature}` }
}

const verify = (provider: Parameters<typeof verifyDelivery>[0], headers: Record<string, string>, secrets = [secret]): Verdict =>
  verifyDelivery(provider, { headers: new Headers(headers), body }, secrets, now)

describe('a delivery is genuine only with the proof of its Git host', () => {
  it.each([
    ['github', { 'x-hub-signature-256': `sha256=${hex(secret)}` }],
    ['bitbucket', { 'x-hub-signature': `sha256=${hex(secret)}` }],
    ['gitea', { 'x-gitea-signature': hex(secret) }],
    ['gitea', { 'x-forgejo-signature': hex(secret) }],
    ['gitea', { 'x-hub-signature-256': `sha256=${hex(secret).toUpperCase()}` }],
    ['gitlab', { 'x-gitlab-token': secret }],
    ['gitlab', standard()],
    ['gitlab', standard({ with: secret })],
    ['gitlab', standard({ at: seconds - toleranceSeconds })],
  ] as const)('%s with %o is taken', (provider, headers) => {
    expect(verify(provider, headers)).toEqual({ valid: true })
    expect(verify(provider, headers, ['a newer secret', secret])).toEqual({ valid: true })
    expect(verify(provider, headers, ['another secret'])).toMatchObject({ valid: false })
  })

  it.each([
    ['github', {}],
    ['github', { 'x-hub-signature': `sha1=${createHmac('sha1', secret).update(body).digest('hex')}` }],
    ['github', { 'x-hub-signature-256': `sha256=${hex(secret, other)}` }],
    ['github', { 'x-hub-signature-256': 'sha256=' }],
    ['github', { 'x-hub-signature-256': `sha256=${hex('')}` }],
    ['github', { 'x-gitlab-token': secret }],
    ['bitbucket', {}],
    ['bitbucket', { 'x-hub-signature': `sha256=${hex('wrong')}` }],
    ['gitea', {}],
    ['gitea', { 'x-gitea-signature': hex(secret).slice(0, -1) }],
    ['gitlab', {}],
    ['gitlab', { 'x-gitlab-token': `${secret}x` }],
    ['gitlab', { 'x-gitlab-token': '' }],
    ['gitlab', standard({ content: other })],
    ['gitlab', standard({ with: 'wrong' })],
    ['gitlab', { ...standard(), 'webhook-id': 'b' }],
    ['gitlab', { ...standard(), 'webhook-timestamp': '' }],
    // A signature that does not fit is not made good by a token.
    ['gitlab', { ...standard({ with: 'wrong' }), 'x-gitlab-token': secret }],
  ] as const)('%s with %o is refused', (provider, headers) => {
    expect(verify(provider, headers)).toMatchObject({ valid: false })
  })

  it.each([-1, 1])('an old or future timestamp is refused although its signature fits', (direction) => {
    const at = seconds + direction * (toleranceSeconds + 1)
    expect(verify('gitlab', standard({ at }))).toMatchObject({ valid: false, why: expect.stringContaining('webhook-timestamp') })
  })
})

it('a delivery without any header that could prove it is refused before its body is read', () => {
  expect(missingProof('github', new Headers())).toBe('x-hub-signature-256')
  expect(missingProof('gitlab', new Headers())).toBe('webhook-signature or x-gitlab-token')
  expect(missingProof('gitea', new Headers({ 'x-gitea-signature': 'a' }))).toBeNull()
})

it('a delivery is known by the id of its host, or by its bytes', () => {
  const id = (provider: Parameters<typeof deliveryIdOf>[0], headers: Record<string, string>, content = body) =>
    deliveryIdOf(provider, { headers: new Headers(headers), body: content })
  expect(id('gitlab', { 'x-gitlab-event-uuid': 'event', 'idempotency-key': 'key' })).toBe('key')
  expect(id('gitlab', { 'x-gitlab-event-uuid': 'event' })).toMatch(/^event-[0-9a-f]{64}$/)
  expect(id('bitbucket', { 'x-request-uuid': 'r' })).toBe('r')
  expect(id('github', {})).toMatch(/^body-[0-9a-f]{64}$/)
  expect(id('github', {})).not.toBe(id('github', {}, other))
})
