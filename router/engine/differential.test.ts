import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { converse, readAnswers, type SeenAnswer } from './contract/corpus/client'
import { type RecordingOrigin, recordingOrigin, type SeenRequest } from './contract/corpus/origin'
import { type CorpusCase, corpus } from './contract/corpus/requests'
import { hostTable, openServices, quietLog, routeTo, testLimits } from './contract/testing'
import type { Engine, EngineFactory } from './engine'
import { createHttpProxyEngine } from './http-proxy/engine'
import { createLeanEngine } from './lean'

/** Where the two differ, and why. */
const differ: Record<string, string> = {
  'first line: "GET / RTSP/1.0"': "Node's parser reads RTSP as HTTP/1.0; the lean one refuses it",
  'first line: "GET /"': "HTTP/0.9: Node's parser reads it and the engine says 505, the lean one says 400",
  'first line: "GET  / HTTP/1.1"': "Node's parser takes more than one space, where RFC 9112 §3 has exactly one",
  'first line: "GET /  HTTP/1.1"': 'the same, before the version',
  'length: "0"': 'bytes that are no request behind one that is: as with chunks below',
  'chunks: bytes behind the end': 'Node breaks the connection for the second request before the first is answered',
}

interface Bench {
  origin: RecordingOrigin
  engine: Engine
  port: number
}

interface Seen {
  answers: SeenAnswer[]
  rest: string
  requests: SeenRequest[]
  unclean: string[]
}

const limits = { ...testLimits, clientHeadTimeoutMs: 1_000, clientIdleTimeoutMs: 1_000, upstreamTimeoutMs: 10_000, lingerMs: 300 }
const quietMs = 2_000
const lanes = 16

async function bench(create: EngineFactory): Promise<Bench> {
  const origin = await recordingOrigin()
  const table = hostTable([routeTo('app.test', [origin.target])])
  const engine = create({ limits, table, log: quietLog, ...openServices(table) })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
  return { origin, engine, port }
}

// Which of the two sentences about a refused request is said depends on which rule is looked at first.
const isRefusal = ({ status, body }: SeenAnswer) =>
  status >= 400 && (body === '' || body.includes('"ERR_INVALID_INPUT"') || body.includes('"ERR_TOO_LARGE"'))
const refusal = (answer: SeenAnswer): SeenAnswer => (isRefusal(answer) ? { status: answer.status, headers: [], body: '' } : answer)
// Node's client says how long a body is that is not there.
// Node's client joins Cookie lines, too.
function tellable(request: SeenRequest): SeenRequest {
  const cookies = request.headers.filter((line) => line.startsWith('cookie: ')).map((line) => line.slice('cookie: '.length))
  const others = request.headers.filter((line) => line !== 'content-length: 0' && !line.startsWith('cookie: '))
  return { ...request, headers: cookies.length > 0 ? [...others, `cookie: ${cookies.join('; ')}`] : others }
}

async function see({ origin, port }: Bench, { bytes }: CorpusCase): Promise<Seen> {
  origin.reset()
  const { text, closed } = await converse(port, [Buffer.from(bytes, 'latin1')], quietMs)
  const { answers, rest } = readAnswers(text.replaceAll(`:${port}`, ':PORT'), [bytes.startsWith('HEAD ')], closed)
  const requests = origin.requests.map((one) => ({ ...one, headers: one.headers.map((line) => line.replace(`-port: ${port}`, '-port: PORT')) }))
  return { answers: answers.map(refusal), rest, requests: requests.map(tellable), unclean: [...origin.unclean] }
}

describe('the two engines, given the same bytes', () => {
  const pairs: { lean: Bench; reference: Bench }[] = []
  const seen = new Map<string, { lean: Seen; reference: Seen }>()

  beforeAll(async () => {
    for (let lane = 0; lane < lanes; lane++) pairs.push({ lean: await bench(createLeanEngine), reference: await bench(createHttpProxyEngine) })
    const queue = [...corpus]
    const work = async ({ lean, reference }: { lean: Bench; reference: Bench }) => {
      for (let one = queue.shift(); one; one = queue.shift()) {
        const [a, b] = await Promise.all([see(lean, one), see(reference, one)])
        seen.set(one.name, { lean: a, reference: b })
      }
    }
    await Promise.all(pairs.map(work))
  }, 120_000)

  afterAll(async () => {
    for (const { lean, reference } of pairs)
      for (const { engine, origin } of [lean, reference]) {
        await engine.close()
        await origin.close()
      }
  })

  test.each(corpus.map(({ name }) => name))('%s: same answers, same request at the instance', (name) => {
    const both = seen.get(name)
    if (!both) throw new Error('not tried')
    expect(both.lean.unclean).toEqual([])
    if (name in differ) return
    // A body that breaks off midway: Node ends the connection without a word, which RFC 9112 allows; the lean engine says 400.
    const silent = both.reference.answers.length === 0 && both.lean.answers.length === 1 && both.lean.answers[0]?.status === 400
    expect({ ...both.lean, answers: silent ? [] : both.lean.answers }).toEqual(both.reference)
  })

  test('every exception is one', () => {
    for (const name of Object.keys(differ)) expect(seen.get(name)?.lean, name).not.toEqual(seen.get(name)?.reference)
  })
})
