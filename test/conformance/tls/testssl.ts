/**
 * Has testssl.sh judge a real router worker: `npx tsx test/conformance/tls/testssl.ts [lean|http-proxy] [option of testssl.sh…]`. Prints
 * every finding that is not plainly good and ends with 1 when one is of severity MEDIUM or worse. Takes some minutes, or less with an
 * option that asks for a part of it (`-R`: renegotiation).
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { LinkHub } from '@/server/link/hub'
import { baseEnv, exec } from '@/shared/node/exec'
import { freePorts } from '../../support/ports'
import { bundleRouters } from '../../support/routers'
import { createTestCa } from '../../support/test-ca'

interface Finding {
  id: string
  severity: string
  finding: string
}

const host = 'app.switchyard.test'
/** What testssl.sh would miss is the app's to say. */
const appHeaders = {
  'Content-Security-Policy': "default-src 'self'",
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}
const bad = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'])
/** About the test's own certificate and DNS, not about the router: the CA of a test publishes no list of what it revoked. */
const notOurs = new Set(['cert_revocation', 'cert_crlDistributionPoints', 'cert_ocspURL', 'DNS_CAArecord', 'certificate_transparency'])

async function main(engine: string, part: string[]): Promise<number> {
  const home = await mkdtemp(path.join(tmpdir(), 'sy-testssl-'))
  const routers = await bundleRouters()
  const hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers: 1 })
  const app = http.createServer((_req, res) => res.writeHead(200, appHeaders).end('hello'))
  try {
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    const [port = 0, securePort = 0] = await freePorts(2)
    const ca = await createTestCa()
    const notAfter = new Date(Date.now() + 85 * 86_400_000)
    const { certificatePem, keyPem } = await ca.leaf([host], { notAfter, serial: '5f0123456789abcdef0123456789abcd' })
    hub.messages.onAsk('certificates', async () => ({
      certificates: [{ id: 'c', chainPem: `${certificatePem}\n${ca.intermediatePem}`, keyPem }],
    }))
    await hub.start()
    await routers.startWorker({ home, port, id: 0, env: { EDGE_HTTPS_PORT: String(securePort), EDGE_ENGINE: engine } })
    const target = { instanceId: 'i', host: '127.0.0.1', port: (app.address() as AddressInfo).port }
    const route = { host, teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const, targets: [target] }
    await hub.publish(
      {
        version: 1,
        generatedAt: new Date().toISOString(),
        dashboardUrl: '',
        routes: [{ ...route, httpsOnly: true, hstsSeconds: 31_536_000 }],
        certificates: [{ id: 'c', names: [host], notAfter: notAfter.getTime() }],
        httpsPort: securePort,
      },
      { deadlineMs: 20_000 },
    )
    await writeFile(path.join(home, 'root.pem'), ca.rootPem)
    const findings = await judge(home, securePort, part)
    return report(engine, findings, part.length > 0)
  } finally {
    await routers.close()
    await hub.close()
    app.close()
    await rm(home, { recursive: true, force: true })
  }
}

/**
 * testssl.sh names no host where it asks about renegotiation ("no SNI needed here"), and whoever names none is refused by the router, so
 * that nothing was judged. This openssl names it there, and only there: who asks without TLS 1.3 asks for that.
 */
const openssl = `#!/bin/bash
[[ " $* " == *" -no_tls1_3 "* ]] && set -- "\${@/#-noservername/-servername=${host}}"
exec openssl "$@"
`

async function judge(home: string, port: number, part: string[]): Promise<Finding[]> {
  const file = path.join(home, 'findings.json')
  const program = path.join(home, 'openssl')
  await writeFile(program, openssl, { mode: 0o755 })
  const options = [
    '--quiet',
    '--color',
    '0',
    '--warnings',
    'off',
    '--openssl',
    program,
    '--add-ca',
    path.join(home, 'root.pem'),
    '--ip',
    '127.0.0.1',
    '--jsonfile',
    file,
  ]
  const env = { ...baseEnv, HOME: home, TERM: 'dumb' }
  const { stdout } = await exec(['testssl', ...options, ...part, `https://${host}:${port}/`], {
    deadlineMs: 1_800_000,
    env,
    maxOutputBytes: 4 * 1024 * 1024,
  })
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Error(`testssl.sh did not come to an end:\n${stdout.slice(-4_000)}`, { cause: error })
  }
}

function report(engine: string, findings: Finding[], partly: boolean): number {
  const counts = Object.entries(Object.groupBy(findings, ({ severity }) => severity)).map(([severity, list]) => `${severity} ${list?.length}`)
  console.log(`${engine}: ${findings.length} findings: ${counts.join(', ')}`)
  const grave = findings.filter(({ id, severity }) => bad.has(severity) && !notOurs.has(id.replace(/ .*/, '')))
  for (const { id, severity, finding } of findings)
    if (id.endsWith('_renego')) console.log(`${severity.padEnd(8)} ${id}: ${finding}`)
    else if (!['OK', 'INFO', 'DEBUG'].includes(severity))
      console.log(`${severity.padEnd(8)} ${id}: ${finding}${notOurs.has(id) ? ' (the test certificate)' : ''}`)
  console.log(grave.length === 0 ? 'nothing of MEDIUM or worse' : `${grave.length} of MEDIUM or worse`)
  const renegotiation = findings.filter(({ id }) => id.endsWith('_renego'))
  const judged = partly || (findings.length > 100 && renegotiation.length === 2 && renegotiation.every(({ severity }) => severity === 'OK'))
  return grave.length === 0 && judged ? 0 : 1
}

process.exitCode = await main(process.argv[2] ?? 'lean', process.argv.slice(3))
