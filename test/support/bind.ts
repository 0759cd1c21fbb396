import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './ports'
import { until } from './processes'

export interface TestNameServer {
  port: number
  /** Base64; its name is `acme`. */
  keySecret: string
  /** TXT values of a full name. */
  txt(name: string): Promise<string[]>
  close(): Promise<void>
}

/** Debian's BIND on a free port, with one zone that may be changed with one key. */
export async function startBind(zone: string): Promise<TestNameServer> {
  const home = await mkdtemp(path.join(tmpdir(), 'sy-bind-'))
  const port = await freePort()
  const keySecret = randomBytes(32).toString('base64')
  await writeFile(
    path.join(home, 'named.conf'),
    `options { directory "${home}"; pid-file none; session-keyfile none; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
      recursion no; allow-transfer { none; }; dnssec-validation no; };
     controls { };
     key "acme." { algorithm hmac-sha256; secret "${keySecret}"; };
     zone "${zone}" { type primary; file "${home}/zone"; allow-update { key "acme."; }; };`,
  )
  await writeFile(path.join(home, 'zone'), `$TTL 60\n@ IN SOA ns.${zone}. root.${zone}. 1 60 60 600 60\n@ IN NS ns.${zone}.\nns IN A 127.0.0.1\n`)
  let output = ''
  const child: ChildProcess = spawn('named', ['-g', '-c', path.join(home, 'named.conf')], {
    env: { PATH: `${process.env.PATH}:/usr/sbin` } as unknown as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const keep = (text: string) => {
    output = (output + text).slice(-10_000)
  }
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => keep(chunk.toString()))
  child.on('error', (error) => keep(`${error.message} (apt-get install bind9)`))
  const dns = new Resolver({ timeout: 1_000, tries: 2 })
  dns.setServers([`127.0.0.1:${port}`])
  await until('named answers', 15_000, () => dns.resolveSoa(zone).then(Boolean, () => false)).catch((cause) => {
    throw new Error(`named did not start:\n${output}`, { cause })
  })
  return {
    port,
    keySecret,
    txt: (name) =>
      dns.resolveTxt(name).then(
        (records) => records.map((parts) => parts.join('')),
        () => [],
      ),
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      await rm(home, { recursive: true, force: true })
    },
  }
}
