import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePorts } from './ports'
import { until } from './processes'
import { createTestCa } from './test-ca'

export interface PebbleOptions {
  /** Where it looks for http-01 and tls-alpn-01: ports of the router under test. */
  httpPort: number
  tlsPort: number
  /** Lifetime of its certificates. */
  validitySeconds?: number
  /** Share of nonces it refuses, in percent. */
  badNonces?: number
  /** Names it refuses by policy. */
  blocked?: string[]
  /** External account binding: key id → base64url HMAC key. */
  bindings?: Record<string, string>
}

export interface Pebble {
  directory: string
  port: number
  /** PEM file to trust its HTTPS with. */
  caFile: string
  /** "ip:port" of the test's DNS: every name is 127.0.0.1. */
  dnsServer: string
  /** Its root, which signs what it issues. */
  rootPem(): Promise<string>
  /** What one can ask of pebble-challtestsrv: `set-txt`, `clear-txt`, `add-a`, `set-default-ipv4` … */
  dns(command: string, body: object): Promise<void>
  /** Requests for a new order it has seen, whatever became of them. */
  ordersAsked(): number
  /** What it printed, the newest end. */
  output(): string
  /** Starts it anew at the same place: accounts and orders are gone. */
  restart(): Promise<void>
  stop(): Promise<void>
}

const keptOutput = 256 * 1024

/** Debian's pebble and its DNS on free ports of the loopback. */
export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const home = await mkdtemp(path.join(tmpdir(), 'sy-pebble-'))
  const [port, management, dnsPort, control] = (await freePorts(4)) as [number, number, number, number]
  const caFile = await writeFiles(home, { ...options, port, management })
  let output = ''
  let ordersAsked = 0
  const running: ChildProcess[] = []
  const start = (command: string, args: string[], env: Record<string, string> = {}) => {
    const child = spawn(command, args, { env: { PATH: process.env.PATH, ...env } as unknown as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        const text = chunk.toString()
        ordersAsked += text.split('POST /order-plz -> calling').length - 1
        output = (output + text).slice(-keptOutput)
      })
    child.on('error', (error) => {
      output += `${command}: ${error.message} (apt-get install pebble)\n`
    })
    running.push(child)
    return child
  }
  const local = (p: number) => `127.0.0.1:${p}`
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '']
  start('pebble-challtestsrv', ['-dns01', local(dnsPort), '-management', local(control), ...off, '-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''])
  const startCa = () =>
    start('pebble', ['-config', path.join(home, 'pebble.json'), '-dnsserver', local(dnsPort), '-strict=true'], {
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_WFE_NONCEREJECT: String(options.badNonces ?? 0),
      // Every order is validated anew.
      PEBBLE_AUTHZREUSE: '0',
    })
  let ca = startCa()
  const trusted = await readFile(caFile, 'utf8')
  const answers = () =>
    until('pebble answers', 15_000, async () =>
      getText(pebble.directory, trusted).then(
        () => fetch(`http://${local(control)}/`).then(() => true),
        () => false,
      ),
    )
  const pebble: Pebble = {
    directory: `https://localhost:${port}/dir`,
    port,
    caFile,
    dnsServer: local(dnsPort),
    rootPem: () => getText(`https://localhost:${management}/roots/0`, trusted),
    async dns(command, body) {
      const answer = await fetch(`http://${local(control)}/${command}`, { method: 'POST', body: JSON.stringify(body) })
      if (!answer.ok) throw new Error(`challtestsrv: ${command} answered ${answer.status}`)
    },
    ordersAsked: () => ordersAsked,
    output: () => output,
    async restart() {
      await ended(ca)
      ca = startCa()
      await answers()
    },
    async stop() {
      await Promise.all(running.map(ended))
      await rm(home, { recursive: true, force: true })
    },
  }
  try {
    await answers()
    return pebble
  } catch (error) {
    await pebble.stop()
    throw new Error(`pebble did not start:\n${output.slice(-2000)}`, { cause: error })
  }
}

async function writeFiles(home: string, options: PebbleOptions & { port: number; management: number }): Promise<string> {
  const ca = await createTestCa(`Pebble ${options.port}`)
  const front = await ca.leaf(['localhost', '127.0.0.1'])
  const file = (name: string) => path.join(home, name)
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${options.port}`,
      managementListenAddress: `127.0.0.1:${options.management}`,
      certificate: file('front.pem'),
      privateKey: file('front.key'),
      httpPort: options.httpPort,
      tlsPort: options.tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: options.bindings !== undefined,
      externalAccountMACKeys: options.bindings ?? {},
      domainBlocklist: options.blocked ?? [],
      certificateValidityPeriod: options.validitySeconds ?? 7_776_000,
    },
  }
  await Promise.all([
    writeFile(file('front.pem'), front.certificatePem + ca.intermediatePem),
    writeFile(file('front.key'), front.keyPem),
    writeFile(file('ca.pem'), ca.rootPem),
    writeFile(file('pebble.json'), JSON.stringify(config)),
  ])
  return file('ca.pem')
}

function getText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const req = request(url, { ca, agent: false, timeout: 5_000 }, (res) => {
      let text = ''
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      res.on('end', () => resolve(text))
    })
    req.on('timeout', () => req.destroy(new Error('no answer')))
    req.on('error', reject)
    req.end()
  })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
