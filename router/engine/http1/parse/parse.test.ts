import { describe, expect, test } from 'vitest'
import { testLimits } from '../../contract/testing'
import { AnswerHead, parseAnswerHead } from './answer-head'
import { ChunkScanner } from './chunked'
import { parseRequestHead, RequestHead } from './request-head'

const limits = { ...testLimits, maxHeaderBytes: 400, maxHeaders: 10 }
const bytesOf = (text: string) => Buffer.from(text, 'latin1')
const request = (text: string, head = new RequestHead()) => ({ after: parseRequestHead(head, bytesOf(text), 0, text.length, limits), head })
const answer = (text: string, head = new AnswerHead()) => ({ after: parseAnswerHead(head, bytesOf(text), 0, text.length), head })

describe('request heads', () => {
  const whole = 'GET /a?b HTTP/1.1\r\nHost: app.test\r\nX-A:  1 \r\n\r\n'

  test('a head ends behind its empty line, whatever follows', () => {
    const { after, head } = request(`${whole}GET /next`)
    expect(after).toBe(whole.length)
    expect(head).toMatchObject({ method: 'GET', minor: 1, refusal: null, contentLength: -1, chunked: false, hasBody: false })
    expect(head.fields.value(bytesOf(whole), 1)).toBe('1')
  })

  test('a head cut anywhere is incomplete, never wrong and never whole', () => {
    for (let cut = 0; cut < whole.length; cut++) expect(request(whole.slice(0, cut)).after, whole.slice(0, cut)).toBe(0)
  })

  test('a head that was refused leaves nothing behind for the next one', () => {
    const head = new RequestHead()
    request('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n', head)
    request('GET * HTTP/1.1\r\nX-A: 1\r\n\r\n', head)
    expect(head).toMatchObject({ chunked: false, close: false, expectsContinue: false, hostStart: -1 })
    expect(head.refusal?.status).toBe(400)
  })

  test.each([
    ['as many lines as allowed', 9, null],
    ['one line more', 10, 431],
  ])('%s', (_what, lines, status) => {
    const text = `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(lines)}\r\n`
    expect(request(text).head.refusal?.status ?? null).toBe(status)
  })

  test('the size of a head is bounded, whole or not', () => {
    const long = `GET /${'a'.repeat(400)} HTTP/1.1\r\nHost: a\r\n\r\n`
    expect(request(long)).toMatchObject({ after: -1, head: { refusal: { status: 414 } } })
    expect(request(long.slice(0, 402))).toMatchObject({ after: -1, head: { refusal: { status: 414 } } })
    expect(request(long.slice(0, 300)).after).toBe(0)
    const wide = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(400)}\r\n\r\n`
    expect(request(wide)).toMatchObject({ after: -1, head: { refusal: { status: 431 } } })
    expect(request(wide.slice(0, 402))).toMatchObject({ after: -1, head: { refusal: { status: 431 } } })
    expect(request(wide.slice(0, 300)).after).toBe(0)
  })

  test('every byte is either in a class or refused', () => {
    for (let byte = 0; byte < 256; byte++) {
      const char = String.fromCharCode(byte)
      const inName = request(`GET / HTTP/1.1\r\nHost: a\r\nX${char}A: 1\r\n\r\n`)
      expect(inName.after > 0, `name ${byte}`).toBe(/[!#$%&'*+.^_`|~0-9A-Za-z:-]/.test(char))
      const inValue = request(`GET / HTTP/1.1\r\nHost: a\r\nX-A: 1${char}2\r\n\r\n`)
      expect(inValue.after > 0, `value ${byte}`).toBe(byte === 9 || (byte >= 32 && byte !== 127))
      const inTarget = request(`GET /a${char}b HTTP/1.1\r\nHost: a\r\n\r\n`)
      expect(inTarget.after > 0, `target ${byte}`).toBe(byte > 32 && byte < 127 && char !== '#')
    }
  })

  test.each([
    [
      'connection',
      'X-Forwarded-For',
      'x_forwarded_for',
      'X-FORWARDED-',
      'X-Switchyard-A',
      'Forwarded',
      'x-real_ip',
      'Te',
      'Http2-Settings',
      'http2_settings',
    ],
  ])('names that end here are cut: %s …', (...names) => {
    for (const name of names) expect(request(`GET / HTTP/1.1\r\nHost: a\r\n${name}: x\r\n\r\n`).head.fields.cut[1], name).toBe(1)
    for (const name of ['X-Forward', 'Xforwarded-For', 'X-Real-IPs', 'Tea', 'Connection2', 'X-Switch', '_'])
      expect(request(`GET / HTTP/1.1\r\nHost: a\r\n${name}: x\r\n\r\n`).head.fields.cut[1], name).toBe(0)
  })
})

describe('answer heads', () => {
  test.each([
    ['HTTP/1.1 200 OK\r\n\r\n', 200, 'OK'],
    ['HTTP/1.0 404 Not Found\r\n\r\n', 404, 'Not Found'],
    ['HTTP/1.1 200\r\n\r\n', 200, ''],
    ['HTTP/1.1 200 \r\n\r\n', 200, ''],
    ['HTTP/1.1 999 Odd \xe9\r\n\r\n', 999, 'Odd \xe9'],
  ])('%j is read', (text, status, reason) => {
    const { after, head } = answer(text)
    expect(after).toBe(text.length)
    expect(head.status).toBe(status)
    expect(head.reason()).toBe(reason)
  })

  test('one that is cut anywhere is incomplete', () => {
    const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n\r\n'
    for (let cut = 0; cut < whole.length; cut++) expect(answer(whole.slice(0, cut)).after, whole.slice(0, cut)).toBe(0)
  })

  test.each([
    'HTTP/1.1 99 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 200 OK\n\n',
    'http/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nA b: 1\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ])('%j is no answer', (text) => {
    expect(answer(text).after).toBe(-1)
  })

  test('Content-Length is framing: a nominated one is passed on', () => {
    const { head } = answer('HTTP/1.1 200 OK\r\nConnection: content-length, x-a\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n')
    expect(head.list()).toEqual([['Content-Length', '2']])
    expect(head.contentLength).toBe(2)
  })
})

describe('chunks', () => {
  /** Payload and trailers, fed `step` bytes at a time; null: refused; undefined: not at its end. */
  function scan(text: string, step: number) {
    const scanner = new ChunkScanner()
    const bytes = bytesOf(text)
    let payload = ''
    for (let from = 0; from < bytes.length; from += step) {
      const end = Math.min(bytes.length, from + step)
      for (let at = from; at < end; ) {
        at = scanner.scan(bytes, at, end)
        if (at < 0) return null
        payload += bytes.toString('latin1', scanner.from, scanner.to)
        if (scanner.done) return { payload, trailers: scanner.trailers, rest: bytes.length - at }
      }
    }
    return undefined
  }

  test.each([1, 2, 3, 7, 1000])('cut every %d bytes: the same payload, trailers and end', (step) => {
    const text = '5;a="b"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-A:  1 \r\nHost: evil\r\nx-b: 2\r\n\r\nrest'
    expect(scan(text, step)).toEqual({
      payload: 'hello0123456789',
      trailers: [
        ['X-A', '1'],
        ['x-b', '2'],
      ],
      rest: step >= text.length ? 4 : expect.any(Number),
    })
  })

  test.each([
    ['', undefined],
    ['0\r\n', undefined],
    ['g\r\n', null],
    ['-1\r\n', null],
    ['1 \r\na\r\n0\r\n\r\n', null],
    [' 1\r\na\r\n0\r\n\r\n', null],
    ['1\na\n0\n\n', null],
    ['1\r\nab\r\n0\r\n\r\n', null],
    ['2\r\na\r\n0\r\n\r\n', null],
    ['1;\n\r\na\r\n0\r\n\r\n', null],
    ['0\r\n: 1\r\n\r\n', null],
    ['0\r\nX\r\n\r\n', null],
    ['0\r\nX : 1\r\n\r\n', null],
    ['0\r\nContent-Length: 1\r\n\r\n', null],
    ['0\r\nTransfer-Encoding: chunked\r\n\r\n', null],
    ['10000000000000\r\n', null],
    [`1;${'a'.repeat(17_000)}`, null],
    [`0\r\nX-A: ${'a'.repeat(17_000)}`, null],
  ])('%j', (text, result) => {
    expect(scan(text, 1)).toBe(result)
  })
})
