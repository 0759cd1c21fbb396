import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { plan } from '../contract/scripted'
import { hostTable, routeTo, testLimits } from '../contract/testing'
import { directVisitor } from '../headers/visitor'
import { Outbox } from '../io/slab'
import { parseRequestHead, RequestHead } from './parse/request-head'
import { forwardedLines, writeRequestHead } from './request-writer'

test('the head of a request is one piece wherever the shared memory ends, so that a second attempt sends all of it', () => {
  const bytes = Buffer.from('GET /a HTTP/1.1\r\nHost: app.test\r\nCookie: a=b\r\n\r\n')
  const head = new RequestHead()
  parseRequestHead(head, bytes, 0, bytes.length, testLimits)
  const route = hostTable([routeTo('app.test', [])]).find('app.test')
  if (!route) throw new Error('no route')
  const forwarded = forwardedLines(directVisitor({ ip: '::1', localPort: 80, secure: false }), 'app.test', '')
  for (let i = 0; i < 2_000; i++) {
    const out = new Outbox(new PassThrough())
    writeRequestHead(out, bytes, head, plan(route), forwarded, Buffer.from(`id${i}`))
    const text = out.seal().toString('latin1')
    expect(text.startsWith('GET /a HTTP/1.1\r\n')).toBe(true)
    expect(text.endsWith(`id${i}\r\n\r\n`)).toBe(true)
  }
})
