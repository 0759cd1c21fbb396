import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectEngine } from '@/builder/engine'
import { appWithBuild, dockerSocket, recorder, removeOwned, requestFor, startBuilder, type TestBuilder } from '@/builder/execute/testing'
import { Firewall } from '@/runtime/docker/firewall'
import { exec } from '@/shared/node/exec'
import { newId } from '@/shared/node/ids'

// One contract for both ways to build an image: what a build may take, and what it may reach.

const engine = connectEngine(dockerSocket)
const never = new AbortController().signal
const linkLocal = '169.254.77.7'
const limits = { memoryBytes: 256 * 1024 ** 2, cpus: 1, pids: 200, timeoutMs: 90_000 }

let made: TestBuilder
let server: Server
let port: number
beforeAll(async () => {
  made = await startBuilder()
  await made.builder.prepare()
  expect(await new Firewall([]).ensure()).toEqual({ ok: true })
  await exec(['ip', 'address', 'add', `${linkLocal}/32`, 'dev', 'lo'], { deadlineMs: 5_000 })
  server = createServer((socket) => socket.end()).listen(0, '0.0.0.0')
  await new Promise((resolve) => server.once('listening', resolve))
  port = (server.address() as { port: number }).port
})
afterAll(async () => {
  server.close()
  await exec(['ip', 'address', 'del', `${linkLocal}/32`, 'dev', 'lo'], { deadlineMs: 5_000 })
  await removeOwned(made)
})

const ownAddress = () =>
  Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4')?.address ?? '127.0.0.1'

/** Says what it reaches: itself (so that "closed" means something), its gateway, this machine's address, a link-local one. */
const knock = () => `const net = require('node:net'), fs = require('node:fs')
const hex = fs.readFileSync('/proc/net/route', 'utf8').split('\\n').map((l) => l.split('\\t')).find((f) => f[1] === '00000000')[2]
const gateway = hex.match(/../g).reverse().map((h) => parseInt(h, 16)).join('.')
const self = net.createServer((s) => s.end()).listen(0, '127.0.0.1', async () => {
  const places = { self: ['127.0.0.1', self.address().port], gateway: [gateway, ${port}], machine: ['${ownAddress()}', ${port}], metadata: ['${linkLocal}', ${port}] }
  for (const [name, [host, port]] of Object.entries(places)) await new Promise((done) => {
    const socket = net.connect({ host, port, timeout: 2000 })
    const say = (word) => { console.log(word + ' ' + name); socket.destroy(); done() }
    socket.on('connect', () => say('reached')).on('error', () => say('closed')).on('timeout', () => say('closed'))
  })
  self.close()
})`

const hog = `node -e "const a = []; for (;;) a.push(Buffer.alloc(20e6, 1))"`
const forks = `node -e "const { spawn } = require('node:child_process'); let failed = 0; for (let i = 0; i < 400; i++) spawn('sleep', ['20']).on('error', () => failed++); setTimeout(() => process.exit(failed ? 7 : 0), 4000)"`

const ways = {
  container: (command: string, files: Record<string, string>) => appWithBuild(command, files),
  Dockerfile: (command: string, files: Record<string, string>) => ({
    ...files,
    'server.js': '',
    // A step is never taken from the cache: what it says is what this test is about.
    Dockerfile: ['FROM switchyard/node:24', 'WORKDIR /srv', 'COPY . .', `RUN : ${newId()} && ${command}`, 'CMD ["node", "server.js"]'].join('\n'),
  }),
} as const

describe.each(['container', 'Dockerfile'] as const)('a build by %s', (way) => {
  const build = async (command: string, files: Record<string, string> = {}) => {
    const log = recorder()
    const asked = await requestFor(made, ways[way](command, files), { limits })
    const error = await made.builder.build(asked, log.events, never).then(
      () => null,
      (reason: unknown) => reason,
    )
    return { log, error }
  }

  test('reaches no port of this machine and no link-local address', async () => {
    const { log, error } = await build('node knock.js', { 'knock.js': knock() })
    expect(error).toBeNull()
    const said = log.lines.map((line) => line.text).filter((text) => /^(reached|closed) /.test(text))
    expect(said).toEqual(['reached self', 'closed gateway', 'closed machine', 'closed metadata'])
  })

  test('takes no more memory than it may, and is told so', async () => {
    const { error } = await build(hog)
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('256 MiB') })
  })

  test('starts no more processes than it may', async () => {
    const { error } = await build(forks)
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('200') })
  })
})

test('a container of somebody else on the default bridge keeps what it had while a Dockerfile is built, and nothing is left afterwards', async () => {
  const script = `require('node:net').connect({ host: '${ownAddress()}', port: ${port}, timeout: 3000 }).on('connect', () => process.exit(0)).on('error', () => process.exit(1)).on('timeout', () => process.exit(2))`
  const other = await engine.createContainer({
    Image: 'switchyard/node:24-slim',
    Cmd: ['node', '-e', 'setTimeout(() => {}, 60_000)'],
    HostConfig: { NetworkMode: 'bridge' },
  })
  try {
    await other.start()
    const log = recorder()
    const asked = await requestFor(made, ways.Dockerfile('echo now building && sleep 8', {}), { limits })
    const building = made.builder.build(asked, log.events, never)
    building.catch(() => {})
    await log.saw('now building')
    const knocking = await other.exec({ Cmd: ['node', '-e', script] })
    const stream = await knocking.start({})
    stream.resume()
    await expect.poll(async () => (await knocking.inspect()).ExitCode, { timeout: 20_000 }).toBe(0)
    await building
  } finally {
    await other.remove({ force: true })
  }
  const rules = await exec(['iptables', '-S'], { deadlineMs: 10_000 })
  expect(rules.stdout).not.toContain('SWITCHYARD-BUILD')
})
