import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { host } from './fixtures'
import { run } from './processes'
import { loadCore } from './proxies'

export interface LoadResult {
  requests: number
  seconds: number
  /** Answers other than 2xx, and connections that failed. */
  failures: number
  p50Ms: number | null
  p99Ms: number | null
}

/** What a browser sends. */
const browserHeaders = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.9,de;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0; theme=dark',
  'Sec-Fetch-Mode: navigate',
]

export interface WrkOptions {
  url: string
  hostHeader?: string
  seconds: number
  connections: number
  /** A connection, and over TLS a handshake, for each request. */
  close?: boolean
}

export async function wrk({ url, hostHeader, seconds, connections, close }: WrkOptions): Promise<LoadResult> {
  const headers = [...browserHeaders, ...(hostHeader ? [`Host: ${hostHeader}`] : []), ...(close ? ['Connection: close'] : [])]
  const text = await run(
    loadCore,
    ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...headers.flatMap((h) => ['-H', h]), url],
    (seconds + 20) * 1000,
  )
  const [, requests = '0', took = '0'] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? []
  const non2xx = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0)
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1).map(Number) ?? []
  const failures = non2xx + socket.reduce((a, b) => a + b, 0)
  if (Number(requests) === 0) throw new Error(`wrk got no answer from ${url}:\n${text}`)
  return { requests: Number(requests), seconds: Number(took), failures, p50Ms: wrkTime(text, '50%'), p99Ms: wrkTime(text, '99%') }
}

function wrkTime(text: string, row: string): number | null {
  const [, value, unit = ''] = new RegExp(`${row}\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? []
  const scale: Record<string, number> = { us: 0.001, ms: 1, s: 1000 }
  return value === undefined ? null : Number(value) * (scale[unit] ?? 1)
}

export interface H2loadOptions {
  port: number
  requests: number
  clients: number
  streams: number
}

/** HTTP/2 over TLS; by count, not by time: with --duration h2load 1.52 sometimes never ends. */
export async function h2load({ port, requests, clients, streams }: H2loadOptions): Promise<LoadResult> {
  const url = `https://${host}:${port}/`
  const headers = browserHeaders.flatMap((h) => ['-H', h])
  const argv = ['h2load', '-t1', `-c${clients}`, `-m${streams}`, `-n${requests}`, `--connect-to=127.0.0.1:${port}`, ...headers, url]
  const text = await run(loadCore, argv, 120_000)
  const succeeded = Number(/, (\d+) succeeded/.exec(text)?.[1] ?? 0)
  const [, took = '0', unit = 's'] = /finished in ([\d.]+)(us|ms|s|m)/.exec(text) ?? []
  const scale: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }
  if (succeeded === 0) throw new Error(`h2load got no answer from ${url}:\n${text.slice(-1500)}`)
  return { requests: succeeded, seconds: Number(took) * (scale[unit] ?? 1), failures: requests - succeeded, p50Ms: null, p99Ms: null }
}

export interface OpenLoopOptions {
  port: number
  seconds: number
  perSecond: number
  /** HTTP/2 over TLS, a request at a time on each connection; otherwise plain HTTP/1.1. */
  secure?: boolean
  /** Latencies of the first so many milliseconds, while connections are opened all at once, do not count; failures do. */
  settleMs?: number
}

/** A fixed rate whatever the proxy does (h2load): latencies count from when the request went out. */
export async function openLoop({ port, seconds, perSecond, secure = false, settleMs = 0 }: OpenLoopOptions): Promise<LoadResult> {
  const clients = 50
  const directory = mkdtempSync(path.join(tmpdir(), 'switchyard-open-loop-'))
  const log = path.join(directory, 'log')
  try {
    const headers = browserHeaders.flatMap((h) => ['-H', h])
    const rate = `--rps=${Math.max(1, Math.round(perSecond / clients))}`
    const [scheme, protocol] = secure ? ['https', []] : ['http', ['--h1']]
    const argv = ['h2load', ...protocol, '-t1', `-c${clients}`, '-m1', `-n${perSecond * seconds}`, rate, `--log-file=${log}`, ...headers]
    await run(loadCore, [...argv, `--connect-to=127.0.0.1:${port}`, `${scheme}://${host}:${port}/`], (seconds + 25) * 1000)
    // Start (µs), status, duration (µs).
    const rows = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('\t').map(Number))
    const good = rows.filter((row) => (row[1] ?? 0) >= 200 && (row[1] ?? 0) < 300)
    const settled = Math.min(...rows.map((row) => row[0] ?? 0)) + settleMs * 1000
    const durations = good.filter((row) => (row[0] ?? 0) >= settled).map((row) => (row[2] ?? 0) / 1000)
    durations.sort((a, b) => a - b)
    const at = (share: number) => durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] ?? Number.NaN
    return { requests: good.length, seconds, failures: perSecond * seconds - good.length, p50Ms: at(0.5), p99Ms: at(0.99) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
