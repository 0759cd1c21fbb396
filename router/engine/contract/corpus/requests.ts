/**
 * Corpus of requests as bytes (latin1): requests of browsers, unusual requests that the standards allow, and invalid requests. Each is sent on a
 * new connection; some tests send a second, plain request after a request with a complete body.
 */
export interface CorpusCase {
  name: string
  bytes: string
}

const crlf = '\r\n'
const host = 'app.test'
const head = (first: string, lines: string[] = [], body = '') => [first, ...lines, '', body].join(crlf)
const get = (lines: string[] = [], target = '/') => head(`GET ${target} HTTP/1.1`, [`Host: ${host}`, ...lines])
const post = (lines: string[], body: string, method = 'POST') => head(`${method} /p HTTP/1.1`, [`Host: ${host}`, ...lines], body)
const chunked = (body: string, lines: string[] = []) => post(['Transfer-Encoding: chunked', ...lines], body)
const inner = head('GET /smuggled HTTP/1.1', [`Host: ${host}`])

const named = (group: string, cases: Record<string, string>): CorpusCase[] =>
  Object.entries(cases).map(([name, bytes]) => ({ name: `${group}: ${name}`, bytes }))

const browser = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.9',
  'Accept-Encoding: gzip, deflate, br',
  'Connection: keep-alive',
  'Cookie: a=1; b=2',
]

const plain = named('plain', {
  browser: get(browser),
  'pipelined pair': get() + get([], '/second'),
  'empty lines before': `${crlf}${crlf}${get()}`,
  'value with tabs': get(['X-A: \t a\tb \t']),
  'empty value': get(['X-Empty:', 'X-Blank:   ']),
  'obs-text': get(['X-Latin: caf\xe9', 'X-Utf8: \xc3\xa9']),
  'every token byte in a name': get(["!#$%&'*+-.^_`|~09azAZ: 1"]),
  'mixed case': get(['cOnTeNt-LaNgUaGe: en', 'ACCEPT: application/json']),
  'repeated lines': get(['X-A: 1', 'X-B: 2', 'x-a: 3', 'Cookie: a=1', 'Cookie: b=2']),
  'OPTIONS *': head('OPTIONS * HTTP/1.1', [`Host: ${host}`]),
  HEAD: head('HEAD /h HTTP/1.1', [`Host: ${host}`]),
  'HTTP/1.0': head('GET / HTTP/1.0', [`Host: ${host}`]),
  'HTTP/1.0 kept': head('GET / HTTP/1.0', [`Host: ${host}`, 'Connection: keep-alive']),
  'HTTP/1.0 with a body': head('POST / HTTP/1.0', [`Host: ${host}`, 'Content-Length: 3'], 'abc'),
  close: get(['Connection: close']),
  'unknown host': head('GET / HTTP/1.1', ['Host: nobody.test', 'Accept: text/html']),
})

const targets = named(
  'target',
  Object.fromEntries(
    [
      '/',
      '//',
      '/a//b/../c',
      '/?',
      '/?a=b&c=%20',
      '/%00',
      '/%2e%2e/etc/passwd',
      '/;p=1',
      '/a\\b',
      '/{x}|y^z`',
      '/"quoted"',
      '/<tag>',
      `/${'long/'.repeat(300)}`,
      '*',
      'index.html',
      '?q',
      '/a#b',
      '/caf\xe9',
      '/a\x7fb',
      '/a\x01b',
      '/a b',
      '/a\tb',
      '',
      'http://app.test/',
      'https://app.test:443/x',
      'HTTP://other.test/',
      '//other.test/x',
      'app.test:80',
      'file:///etc/passwd',
    ].map((target) => [JSON.stringify(target.slice(0, 40)), head(`GET ${target} HTTP/1.1`, [`Host: ${host}`])]),
  ),
)

const hosts = named(
  'host',
  Object.fromEntries(
    [
      'app.test',
      'APP.TEST',
      'app.test.',
      'app.test:80',
      'app.test:',
      'app.test:65535',
      'app.test:65536',
      'app.test:x',
      'app.test:-1',
      'app.test:80:80',
      'app..test',
      '.app.test',
      '-',
      '',
      'app.test, other.test',
      'app.test other.test',
      'user@app.test',
      'app.test/x',
      'app.test?x',
      'app.test#x',
      'app%2etest',
      '[::1]',
      '[::1',
      '[::1]:80',
      '[v1.x]',
      '127.0.0.1',
      `${'a'.repeat(64)}.test`,
      'a'.repeat(300),
      'm\xc3\xbcnchen.test',
      'app.test\x00',
      'app_test',
    ].map((value) => [JSON.stringify(value.slice(0, 40)), head('GET / HTTP/1.1', [`Host: ${value}`])]),
  ),
)

const hostLines = named('host lines', {
  none: head('GET / HTTP/1.1'),
  'none in HTTP/1.0': head('GET / HTTP/1.0'),
  'two equal': get([`Host: ${host}`]),
  'two different': get(['Host: other.test']),
  'a second in another case': get(['hOST: other.test']),
  'a space before the colon': head('GET / HTTP/1.1', [`Host : ${host}`]),
  'no space after the colon': head('GET / HTTP/1.1', [`Host:${host}`]),
  'folded value': head('GET / HTTP/1.1', ['Host:', ` ${host}`]),
})

const firstLines = named(
  'first line',
  Object.fromEntries(
    [
      'GET  / HTTP/1.1',
      'GET /  HTTP/1.1',
      ' GET / HTTP/1.1',
      'GET\t/ HTTP/1.1',
      'GET / HTTP/1.1 ',
      'GET / http/1.1',
      'GET / HTTP/1',
      'GET / HTTP/11',
      'GET / HTTP/1.1.1',
      'GET / HTTP/01.1',
      'GET / HTTP/1.2',
      'GET / HTTP/2.0',
      'GET / HTTP/0.9',
      'GET / HTTP/3.0',
      'GET / HTTPS/1.1',
      'GET / ICE/1.0',
      'GET / RTSP/1.0',
      'GET /',
      'GET',
      '/ HTTP/1.1',
      'get / HTTP/1.1',
      'GETT / HTTP/1.1',
      'G\xc9T / HTTP/1.1',
      'TRACE / HTTP/1.1',
      'CONNECT app.test:80 HTTP/1.1',
      'CONNECT / HTTP/1.1',
      'PURGE / HTTP/1.1',
      'PROPFIND / HTTP/1.1',
      'M-SEARCH / HTTP/1.1',
      'QUERY / HTTP/1.1',
      'SOURCE / HTTP/1.1',
      'PATCH / HTTP/1.1',
      'DELETE / HTTP/1.1',
    ].map((line) => [JSON.stringify(line), head(line, [`Host: ${host}`])]),
  ),
)

const lineEnds = named('line ends', {
  'bare LF': `GET / HTTP/1.1\nHost: ${host}\n\n`,
  'bare LF after the first line': `GET / HTTP/1.1\nHost: ${host}${crlf}${crlf}`,
  'bare LF between lines': `GET / HTTP/1.1${crlf}Host: ${host}\nX-A: 1${crlf}${crlf}`,
  'bare LF at the end': `GET / HTTP/1.1${crlf}Host: ${host}${crlf}\n`,
  'bare CR in a value': get(['X-A: 1\rX-B: 2']),
  'bare CR at a line end': `GET / HTTP/1.1${crlf}Host: ${host}\rX-A: 1${crlf}${crlf}`,
  'CR CR LF': `GET / HTTP/1.1${crlf}Host: ${host}\r${crlf}${crlf}`,
  'NUL in a value': get(['X-A: 1\x002']),
  'DEL in a value': get(['X-A: 1\x7f2']),
  'control byte in a value': get(['X-A: 1\x012']),
  'NUL in a name': get(['X-\x00A: 1']),
  'space in a name': get(['X A: 1']),
  'no name': get([': 1']),
  'no colon': get(['X-A']),
  'obs-fold': get(['X-A: 1', '\t2']),
  'obs-fold at the first line': `GET / HTTP/1.1${crlf} Host: ${host}${crlf}${crlf}`,
  'space before the colon': get(['X-A : 1']),
  'tab before the colon': get(['X-A\t: 1']),
  'bytes beyond ASCII in a name': get(['X-\xe9: 1']),
  'vertical tab as white space': get(['\x0bTransfer-Encoding: chunked']),
})

const values = [
  '0',
  '3',
  '03',
  '003',
  '+3',
  '-3',
  '3.0',
  '0x3',
  '3,3',
  '3, 3',
  '3 3',
  '',
  ' ',
  '3\x0b',
  '\x003',
  '9999999999999999',
  '1e1',
  '٣',
  'abc',
]
const lengths = named('length', Object.fromEntries(values.map((value) => [JSON.stringify(value), post([`Content-Length: ${value}`], 'abc')])))

const codingValues = [
  'chunked',
  'Chunked',
  'CHUNKED',
  ' chunked ',
  '\tchunked',
  'chunked,',
  ',chunked',
  'chunked, chunked',
  'identity',
  'gzip',
  'gzip, chunked',
  'chunked, gzip',
  'chunked;q=1',
  '"chunked"',
  'xchunked',
  'chunkedx',
  'chunked\x00',
  'chunked\x0b',
  'cow, chunked',
  '',
]
const codings = named(
  'coding',
  Object.fromEntries(
    codingValues.map((value) => [JSON.stringify(value), post([`Transfer-Encoding: ${value}`], `3${crlf}abc${crlf}0${crlf}${crlf}`)]),
  ),
)

const framing = named('framing', {
  'length and chunks': post(['Content-Length: 3', 'Transfer-Encoding: chunked'], `0${crlf}${crlf}${inner}`),
  'chunks and length': post(['Transfer-Encoding: chunked', 'Content-Length: 3'], `0${crlf}${crlf}${inner}`),
  'length and unknown coding': post(['Content-Length: 3', 'Transfer-Encoding: x'], 'abc'),
  'two equal lengths': post(['Content-Length: 3', 'Content-Length: 3'], 'abc'),
  'two lengths': post(['Content-Length: 3', 'Content-Length: 4'], 'abcd'),
  'two codings': post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], `0${crlf}${crlf}`),
  'coding then identity': post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0${crlf}${crlf}`),
  'identity then coding': post(['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], `0${crlf}${crlf}`),
  'coding with an underscore': post(['Transfer_Encoding: chunked', 'Content-Length: 3'], 'abc'),
  'length with an underscore': post(['Content_Length: 9', 'Content-Length: 3'], 'abc'),
  'coding in HTTP/1.0': head('POST / HTTP/1.0', [`Host: ${host}`, 'Transfer-Encoding: chunked'], `0${crlf}${crlf}`),
  'GET with a body': head('GET / HTTP/1.1', [`Host: ${host}`, 'Content-Length: 3'], 'abc'),
  'GET with chunks': head('GET / HTTP/1.1', [`Host: ${host}`, 'Transfer-Encoding: chunked'], `3${crlf}abc${crlf}0${crlf}${crlf}`),
  'HEAD with a body': head('HEAD / HTTP/1.1', [`Host: ${host}`, 'Content-Length: 3'], 'abc'),
  'OPTIONS * with a body': head('OPTIONS * HTTP/1.1', [`Host: ${host}`, 'Content-Length: 3'], 'abc'),
  'a body that is a request': post([`Content-Length: ${inner.length}`], inner),
  'a body and a request': post(['Content-Length: 3'], `abc${get([], '/second')}`),
  'chunks and a request': chunked(`3${crlf}abc${crlf}0${crlf}${crlf}${get([], '/second')}`),
  'no body and bytes behind it': get() + inner,
})

const chunks = named('chunks', {
  one: chunked(`3${crlf}abc${crlf}0${crlf}${crlf}`),
  several: chunked(`1${crlf}a${crlf}2${crlf}bc${crlf}00${crlf}${crlf}`),
  'large digits': chunked(`A${crlf}0123456789${crlf}a${crlf}0123456789${crlf}0${crlf}${crlf}`),
  'leading zeros': chunked(`0003${crlf}abc${crlf}0${crlf}${crlf}`),
  'an extension': chunked(`3;a=b${crlf}abc${crlf}0${crlf}${crlf}`),
  'a quoted extension': chunked(`3;a="b;c"${crlf}abc${crlf}0;x${crlf}${crlf}`),
  trailers: chunked(`3${crlf}abc${crlf}0${crlf}X-Sum: 6${crlf}${crlf}`, ['Trailer: X-Sum']),
  'framing in trailers': chunked(`0${crlf}Content-Length: 3${crlf}${crlf}`),
  'forbidden trailers': chunked(`0${crlf}Host: evil${crlf}X-Forwarded-For: 6.6.6.6${crlf}${crlf}`),
  'a trailer without a colon': chunked(`0${crlf}nonsense${crlf}${crlf}`),
  'a sign': chunked(`+3${crlf}abc${crlf}0${crlf}${crlf}`),
  'a minus': chunked(`-3${crlf}abc${crlf}0${crlf}${crlf}`),
  'a prefix': chunked(`0x3${crlf}abc${crlf}0${crlf}${crlf}`),
  'an underscore': chunked(`0_3${crlf}abc${crlf}0${crlf}${crlf}`),
  'a space before': chunked(` 3${crlf}abc${crlf}0${crlf}${crlf}`),
  'no digit': chunked(`${crlf}abc${crlf}0${crlf}${crlf}`),
  'too many digits': chunked(`${'f'.repeat(17)}${crlf}abc${crlf}0${crlf}${crlf}`),
  'overflowing digits': chunked(`10000000000000003${crlf}abc${crlf}0${crlf}${crlf}`),
  'too short': chunked(`5${crlf}abc${crlf}0${crlf}${crlf}`),
  'too long': chunked(`2${crlf}abc${crlf}0${crlf}${crlf}`),
  'a bare LF after the size': chunked(`3\nabc${crlf}0${crlf}${crlf}`),
  'a bare LF after the data': chunked(`3${crlf}abc\n0${crlf}${crlf}`),
  'a bare CR after the size': chunked(`3\rabc${crlf}0${crlf}${crlf}`),
  'a bare LF in an extension': chunked(`2;\nxx${crlf}41${crlf}0${crlf}${crlf}${inner}`),
  'a bare CR in an extension': chunked(`2;a\rb${crlf}xx${crlf}0${crlf}${crlf}`),
  'no end': chunked(`3${crlf}abc${crlf}`),
  'bytes behind the end': chunked(`0${crlf}${crlf}X`),
})

const untrusted = named('untrusted', {
  forwarded: get([
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Whatever: 1',
    'Forwarded: for=6.6.6.6',
    'X-Real-IP: 6.6.6.6',
  ]),
  underscores: get(['X_Forwarded_For: 6.6.6.6', 'X-Forwarded_For: 6.6.6.6', 'x_real_ip: 6.6.6.6', 'X_Switchyard_Team: root']),
  internal: get(['X-Switchyard-Team: root', 'X-Request-Id: mine', 'X-Middleware-Subrequest: a', 'X-Original-URL: /admin', 'X-Rewrite-Url: /admin']),
  'hop by hop': get([
    'Keep-Alive: timeout=9',
    'Proxy-Connection: close',
    'Proxy-Authorization: Basic eDp5',
    'TE: trailers',
    'Upgrade: h2c',
    'Trailer: X',
  ]),
  nominated: get(['Connection: X-A, x-b ,close', 'X-A: 1', 'X-B: 2', 'X-C: 3']),
  'nominated twice': get(['Connection: X-A', 'Connection: X-B', 'X-A: 1', 'X-B: 2']),
  'nominated cookie': get(['Connection: cookie', 'Cookie: a=1']),
  'nominated host': get(['Connection: Host']),
  'nominated length': post(['Connection: Content-Length', 'Content-Length: 3'], 'abc'),
  'nominated coding': post(['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'], `3${crlf}abc${crlf}0${crlf}${crlf}`),
  'odd Connection': get(['Connection: ,, a b , "x", ;']),
})

const expectations = named('expect', {
  continue: post(['Content-Length: 3', 'Expect: 100-continue'], 'abc'),
  'continue in another case': post(['Content-Length: 3', 'expect: 100-CONTINUE'], 'abc'),
  'continue without a body': get(['Expect: 100-continue']),
  other: post(['Content-Length: 3', 'Expect: 200-ok'], 'abc'),
  'in HTTP/1.0': head('POST / HTTP/1.0', [`Host: ${host}`, 'Content-Length: 3', 'Expect: 100-continue'], 'abc'),
})

const upgrades = named('upgrade', {
  h2c: get(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']),
  'websocket with a body': post(['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 3'], 'abc', 'GET'),
  'websocket by POST': post(['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'], ''),
  'websocket not named by Connection': get(['Upgrade: websocket']),
  'websocket by absolute-form': head('GET http://169.254.169.254/ HTTP/1.1', [`Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket']),
})

const limits = named('limits', {
  '100 lines': get(Array.from({ length: 98 }, (_, i) => `X-${i}: 1`)),
  '101 lines': get(Array.from({ length: 100 }, (_, i) => `X-${i}: 1`)),
  'a long value': get([`X-A: ${'a'.repeat(8000)}`]),
  'a head too long': get([`X-A: ${'a'.repeat(20_000)}`]),
  'a target too long': get([], `/${'a'.repeat(20_000)}`),
  'a method too long': head(`${'A'.repeat(100)} / HTTP/1.1`, [`Host: ${host}`]),
})

const noise = named('noise', {
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'NUL bytes': '\x00'.repeat(32),
  'an answer': 'HTTP/1.1 200 OK\r\n\r\n',
  SSH: 'SSH-2.0-OpenSSH_9.6\r\n',
  'only line ends': crlf.repeat(4),
  SMTP: 'EHLO app.test\r\n',
})

/** The whole corpus. */
export const corpus: CorpusCase[] = [
  ...plain,
  ...targets,
  ...hosts,
  ...hostLines,
  ...firstLines,
  ...lineEnds,
  ...lengths,
  ...codings,
  ...framing,
  ...chunks,
  ...untrusted,
  ...expectations,
  ...upgrades,
  ...limits,
  ...noise,
]
