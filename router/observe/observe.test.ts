import { type FileHandle, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AccessLine, LinkReports, TrafficCounters } from '@/shared/link'
import { hostTable, routeTo } from '../engine/contract/testing'
import type { LiveRoute } from '../match/host-table'
import { AccessFile } from './access-file'
import { createObserver, type ObserverOptions, type WorkerObserver } from './observe'
import type { FinishedRequest } from './observer'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const [shop, blog] = hostTable([routeTo('shop.test', []), routeTo('blog.test', [], { projectId: 'q', deploymentId: 'e' })]).routes() as unknown as [
  LiveRoute,
  LiveRoute,
]

let traffic: LinkReports['traffic'][]
let access: LinkReports['access'][]
let connected: boolean
let observers: WorkerObserver[]

function observing(options: Partial<ObserverOptions> = {}): WorkerObserver {
  const observer = createObserver({
    report: (kind, report) => {
      if (connected) kind === 'traffic' ? traffic.push(report as LinkReports['traffic']) : access.push(report as LinkReports['access'])
      return connected
    },
    log: quiet,
    accessLogFile: null,
    ...options,
  })
  observers.push(observer)
  return observer
}

const described = vi.fn()
function finished(change: Partial<FinishedRequest> = {}): FinishedRequest {
  return {
    route: shop,
    instanceId: 'i1',
    status: 200,
    durationMs: 7,
    upstreamMs: 6,
    bytesIn: 10,
    bytesOut: 100,
    cache: 'miss',
    reason: null,
    describe: () => {
      described()
      return {
        requestId: 'r',
        method: 'GET',
        host: 'shop.test',
        port: null,
        target: '/',
        protocol: 'http/1.1',
        scheme: 'http',
        clientIp: '::1',
        userAgent: 'curl',
      }
    },
    ...change,
  }
}
const lines = () => access.flatMap((report) => report.lines)
const counters = () => traffic.flatMap((report) => report.counters)
const times = (count: number, act: (i: number) => void) => {
  for (let i = 0; i < count; i++) act(i)
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000_020_000, toFake: ['setInterval', 'clearInterval', 'Date'] })
  traffic = []
  access = []
  connected = true
  observers = []
  described.mockReset()
})
afterEach(async () => {
  for (const observer of observers) await observer.close()
  vi.useRealTimers()
})

describe('counts', () => {
  test('are kept per route and target, told every second, and begin anew', () => {
    const observer = observing()
    times(3, () => observer.end(finished()))
    observer.end(finished({ status: 404, durationMs: 1, cache: 'hit' }))
    observer.end(finished({ status: 0, durationMs: 40_000 }))
    observer.end(finished({ instanceId: null, status: 503 }))
    observer.end(finished({ route: blog, instanceId: 'i9' }))
    observer.end(finished({ route: null, instanceId: null, status: 404 }))
    vi.advanceTimersByTime(1_000)
    expect(counters()).toHaveLength(4)
    expect(counters()[0]).toEqual({
      projectId: 'p',
      deploymentId: 'd',
      host: 'shop.test',
      instanceId: 'i1',
      requests: 5,
      durationMs: 40_022,
      statuses: [1, 0, 3, 0, 1, 0],
      bytesIn: 50,
      bytesOut: 500,
      cacheHits: 1,
      latency: [1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    } satisfies TrafficCounters)
    expect(counters()[3]).toMatchObject({ projectId: null, host: '', requests: 1 })
    traffic = []
    vi.advanceTimersByTime(5_000)
    expect(traffic).toEqual([])
    observer.end(finished())
    vi.advanceTimersByTime(1_000)
    expect(counters()).toMatchObject([{ requests: 1 }])
  })

  test('are of visitors: what a CA or the domain doctor asked is in no count, and its line says what it was', () => {
    const observer = observing()
    observer.end(finished({ instanceId: null, reason: 'acme-challenge', upstreamMs: null, cache: 'none' }))
    observer.end(finished({ route: null, instanceId: null, reason: 'acme-challenge', upstreamMs: null, cache: 'none' }))
    vi.advanceTimersByTime(1_000)
    expect(traffic).toEqual([])
    expect(lines()[0]).toMatchObject({ projectId: 'p', reason: 'acme-challenge' })
    observer.end(finished())
    vi.advanceTimersByTime(1_000)
    expect(counters()).toMatchObject([{ requests: 1 }])
  })

  test('survive the absence of the control plane, merged by the minute, and no request is counted twice or lost', () => {
    const observer = observing()
    connected = false
    times(90, (i) => {
      observer.end(finished())
      if (i === 40) observer.apply()
      vi.advanceTimersByTime(1_000)
    })
    connected = true
    vi.advanceTimersByTime(1_000)
    expect(traffic.map((report) => new Date(report.from).getSeconds())).toEqual([0, 0])
    expect(counters()).toHaveLength(2)
    expect(counters().reduce((sum, row) => sum + row.requests, 0)).toBe(90)
  })

  test('are told in messages of a bounded size, and kept in a bounded number', () => {
    const observer = observing()
    times(1_200, (i) => observer.end(finished({ instanceId: `i${i}` })))
    vi.advanceTimersByTime(1_000)
    expect(traffic.map((report) => report.counters.length)).toEqual([500, 500, 200])
    connected = false
    times(30, (minute) => {
      times(1_000, (i) => observer.end(finished({ instanceId: `m${minute}-${i}` })))
      vi.advanceTimersByTime(60_000)
    })
    traffic = []
    connected = true
    vi.advanceTimersByTime(1_000)
    expect(counters().length).toBeLessThanOrEqual(20_000)
    expect(counters().length).toBeGreaterThan(18_000)
    expect(counters().at(-1)?.instanceId).toBe('m29-999')
  })
})

describe('lines', () => {
  test('are written for a few requests of each route; nothing is described for the rest', () => {
    const observer = observing({ sample: { perRoute: 10 } })
    times(1_000, () => observer.end(finished()))
    times(5, () => observer.end(finished({ route: blog })))
    vi.advanceTimersByTime(250)
    expect(lines()).toHaveLength(15)
    expect(described).toHaveBeenCalledTimes(15)
    expect(access[0]?.dropped).toBe(0)
    vi.advanceTimersByTime(1_000)
    times(1_000, () => observer.end(finished()))
    expect(described).toHaveBeenCalledTimes(25)
  })

  test('are written for errors and slow answers first, and those without a place are counted', () => {
    const observer = observing({ sample: { perRoute: 1, notable: 20 } })
    times(100, () => observer.end(finished()))
    times(15, () => observer.end(finished({ status: 502, instanceId: null, upstreamMs: null, reason: 'refused' })))
    times(15, () => observer.end(finished({ upstreamMs: 5_000 })))
    vi.advanceTimersByTime(250)
    expect(lines().filter((line) => line.status === 502)).toHaveLength(15)
    expect(lines().filter((line) => line.upstreamMs === 5_000)).toHaveLength(5)
    expect(access.reduce((sum, report) => sum + report.dropped, 0)).toBe(10)
  })

  test('are written for everything of a project that is watched, up to a bound, as long as it is watched', () => {
    const observer = observing({ sample: { perRoute: 1, watched: 100 } })
    observer.watch(['p'])
    times(150, () => observer.end(finished()))
    times(50, () => observer.end(finished({ route: blog })))
    vi.advanceTimersByTime(250)
    expect(lines().filter((line) => line.projectId === 'p')).toHaveLength(101)
    expect(lines().filter((line) => line.projectId === 'q')).toHaveLength(1)
    access = []
    vi.advanceTimersByTime(1_000)
    observer.watch([])
    times(150, () => observer.end(finished()))
    vi.advanceTimersByTime(250)
    expect(lines()).toHaveLength(1)
  })

  test('have their words cut, and are not kept for a control plane that is away', () => {
    const observer = observing()
    const long = 'x'.repeat(10_000)
    const describe = () => ({ ...finished().describe(), host: 'Shop.test:8080', target: `/${long}`, userAgent: long, method: long })
    observer.end(finished({ describe }))
    vi.advanceTimersByTime(250)
    const [line] = lines()
    expect([line?.target.length, line?.userAgent.length, line?.method.length]).toEqual([2_048, 512, 512])
    expect([line?.host, line?.port]).toEqual(['shop.test', 8080])
    for (const [host, port] of [
      ['[::1]', null],
      ['[::1]:81', 81],
      ['shop.test:', null],
      ['shop.test:99999', null],
    ] as const) {
      observer.end(finished({ describe: () => ({ ...finished().describe(), host }) }))
      vi.advanceTimersByTime(250)
      expect([host, lines().at(-1)?.port]).toEqual([host, port])
    }
    access = []
    connected = false
    times(5, () => observer.end(finished()))
    vi.advanceTimersByTime(2_000)
    connected = true
    vi.advanceTimersByTime(250)
    expect(access).toEqual([{ lines: [], dropped: 5 }])
  })

  test('that cannot be made cost nothing but themselves', () => {
    const observer = observing()
    observer.end(
      finished({
        describe: () => {
          throw new Error('no words')
        },
      }),
    )
    vi.advanceTimersByTime(1_000)
    expect(counters()).toMatchObject([{ requests: 1 }])
  })
})

describe('the file', () => {
  let directory: string
  beforeEach(async () => {
    vi.useRealTimers()
    directory = await mkdtemp(path.join(tmpdir(), 'sy-access-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  test('holds a JSON object a line, whatever visitors send, for its owner alone', async () => {
    const file = path.join(directory, 'logs/access-0.log')
    const observer = createObserver({ report: () => true, log: quiet, accessLogFile: file, logEverything: true, sample: { perRoute: 1 } })
    const evil = 'a\nb\r\u0000\u001b[31m\u2028"\\'
    const describe = () => ({ ...finished().describe(), userAgent: evil, target: `/${evil}` })
    times(20, () => observer.end(finished({ describe })))
    await observer.close()
    const text = await readFile(file, 'utf8')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f]/)
    const written = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AccessLine)
    expect(written).toHaveLength(20)
    expect(written[0]).toMatchObject({ userAgent: evil, status: 200, requestId: 'r', cache: 'miss' })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('is turned over by size, and a few old ones are kept', async () => {
    const file = new AccessFile({ file: path.join(directory, 'access.log'), log: quiet, maxBytes: 1_000, keep: 2 })
    for (let i = 0; i < 50; i++) {
      file.write(JSON.stringify({ i, text: 'x'.repeat(80) }))
      file.flush()
      await file.close()
    }
    expect((await readdir(directory)).sort()).toEqual(['access.log', 'access.log.1', 'access.log.2'])
    for (const name of await readdir(directory)) expect((await stat(path.join(directory, name))).size).toBeLessThanOrEqual(1_000)
    expect(await readFile(path.join(directory, 'access.log'), 'utf8')).toContain('"i":49')
  })

  test('goes on with a line of its own after a disk was full in the middle of one', async () => {
    const name = path.join(directory, 'access.log')
    const probe = await open(path.join(directory, 'probe'), 'w')
    const handles = Object.getPrototypeOf(probe) as FileHandle
    await probe.close()
    const file = new AccessFile({ file: name, log: quiet })
    const { write } = handles
    const half = vi.spyOn(handles, 'write').mockImplementationOnce(function (this: FileHandle, text: Buffer) {
      return Reflect.apply(write, this, [text.subarray(0, 20)])
    } as never)
    file.write('{"line":"one"}')
    file.write('{"line":"two"}')
    file.flush()
    await file.close()
    half.mockRestore()
    file.write('{"line":"three"}')
    await file.close()
    const lines = (await readFile(name, 'utf8')).split('\n')
    expect(lines.slice(0, 3)).toEqual(['{"line":"one"}', '{"lin', '{"line":"three"}'])
  })

  test('that cannot be written, or is slow, drops lines, says how many, and never throws', async () => {
    await writeFile(path.join(directory, 'in-the-way'), '')
    const warned = vi.fn()
    const broken = new AccessFile({ file: path.join(directory, 'in-the-way/access.log'), log: { ...quiet, warn: warned } })
    for (let i = 0; i < 2; i++) {
      broken.write('{}')
      await broken.close()
    }
    expect(warned).toHaveBeenCalled()
    await rm(path.join(directory, 'in-the-way'))
    broken.write('{}')
    await broken.close()
    expect(await readFile(path.join(directory, 'in-the-way/access.log'), 'utf8')).toMatch(/"dropped":2\}\n$/)
    const full = new AccessFile({ file: path.join(directory, 'full.log'), log: quiet, maxWaitingBytes: 20 })
    for (let i = 0; i < 10; i++) full.write('{"line":1}')
    await full.close()
    const text = await readFile(path.join(directory, 'full.log'), 'utf8')
    expect(text.trimEnd().split('\n').at(-1)).toMatch(/"dropped":9/)
  })
})

test('what opens something to a visitor is written down nowhere, however it is spelled', () => {
  const observer = observing()
  const target = (text: string) => {
    const { describe: words } = finished()
    observer.end(finished({ status: 500, describe: () => ({ ...words(), target: text }) }))
  }
  target('/a?x=1&switchyard_token=secret&y=2')
  target('/?%73witchyard%5Ftoken=secret')
  target('/switchyard_token=open?page=2')
  target('/?token=a&X-Amz-Signature=b&accessToken=c;api_key=d&code=&q=tokens&%=1')
  vi.advanceTimersByTime(1_000)
  expect(lines().map((line) => line.target)).toEqual([
    '/a?x=1&switchyard_token=***&y=2',
    '/?%73witchyard%5Ftoken=***',
    '/switchyard_token=open?page=2',
    '/?token=***&X-Amz-Signature=***&accessToken=***;api_key=***&code=***&q=tokens&%=1',
  ])
})
