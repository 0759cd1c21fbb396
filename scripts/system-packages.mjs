// Installs what the tests need from Debian, only what is missing: node scripts/system-packages.mjs [name…]
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { main, run, Stop, sleep, which } from './support/run.mjs'

const debianPostgres = () =>
  existsSync('/usr/lib/postgresql') && readdirSync('/usr/lib/postgresql').some((version) => existsSync(`/usr/lib/postgresql/${version}/bin/postgres`))

/** Debian package → is what we want of it there? The engine, not a client called docker; the server, not a link called postgres. */
const packages = {
  git: () => which('git'),
  curl: () => which('curl'),
  'ca-certificates': () => existsSync('/etc/ssl/certs/ca-certificates.crt'),
  'xz-utils': () => which('xz'),
  procps: () => which('ps'),
  iproute2: () => which('ip'),
  iptables: () => which('iptables'),
  'docker.io': () => which('dockerd') && which('containerd'),
  postgresql: debianPostgres,
  chromium: () => existsSync('/usr/bin/chromium'),
  wrk: () => which('wrk'),
  // pebble-challtestsrv is in it.
  pebble: () => which('pebble'),
  bind9: () => existsSync('/usr/sbin/named'),
  // JetStream, which outgoing events are published to.
  'nats-server': () => which('nats-server') || existsSync('/usr/sbin/nats-server'),
  // A responder of OCSP for the router's tests.
  openssl: () => which('openssl'),
}

/** What the benchmarks compare with; only they ask for it. */
const benchPackages = {
  'nginx-light': () => which('nginx'),
  haproxy: () => which('haproxy'),
  caddy: () => which('caddy'),
  'nghttp2-client': () => which('h2load'),
  slowhttptest: () => which('slowhttptest'),
}
/** Judges of the router's conformance; only `test/conformance` asks for them. */
const conformancePackages = {
  'testssl.sh': () => which('testssl'),
}
/** A bare Debian; only `scripts/documented-commands.mjs` asks for it. */
const bareDebianPackages = { debootstrap: () => which('debootstrap') }
const known = { ...packages, ...benchPackages, ...conformancePackages, ...bareDebianPackages }

/** Makes sure of the named Debian packages (default: all that the tests need). Quick when nothing is missing. */
export async function ensureSystemPackages(names = Object.keys(packages)) {
  const missing = names.filter((name) => !known[name]())
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!which('apt-get'))
    throw new Stop(
      `Missing on this machine: ${missing.join(', ')}, and there is no apt-get.`,
      'Install them with your package manager, then run this again.',
    )
  if (sudo.length > 0 && !(which('sudo') && (await run(['sudo', '-n', 'true'], { capture: true, deadlineMs: 10_000 })).ok))
    throw new Stop(
      `Missing on this machine: ${missing.join(', ')}; installing them needs root.`,
      `Run this once: sudo apt-get update && sudo ${command}`,
    )
  console.log(`Installing from Debian: ${missing.join(' ')}`)
  await withoutServices(sudo, () => install(sudo, missing))
  const still = missing.filter((name) => !known[name]())
  if (still.length > 0)
    throw new Stop(`Installed, but still not usable: ${still.join(', ')}.`, `Look at the output of: ${[...sudo, command].join(' ')}`)
}

async function install(sudo, missing) {
  // LC_ALL: the postgresql package refuses to work in a locale that does not exist.
  const apt = [
    ...sudo,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'LC_ALL=C.UTF-8',
    'apt-get',
    '-q',
    '-o',
    'Acquire::Retries=3',
    '-o',
    'DPkg::Lock::Timeout=300',
  ]
  let output = ''
  for (let attempt = 1; attempt <= 4; attempt++) {
    const update = await run([...apt, 'update'], { capture: true, deadlineMs: 5 * 60_000 })
    const result = await run([...apt, 'install', '-y', '--no-install-recommends', ...missing], { capture: true, deadlineMs: 15 * 60_000 })
    if (result.ok) return
    output = update.output + result.output
    console.log(`apt-get failed (attempt ${attempt} of 4)`)
    await sleep(attempt * 5000)
  }
  throw new Stop(`apt-get could not install ${missing.join(' ')}:\n${output.slice(-3000)}`, 'Is the Debian mirror reachable? Try: apt-get update')
}

/** Debian starts daemons when it installs them. Ours are started by the tests, privately: a policy forbids it meanwhile. */
async function withoutServices(sudo, work) {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy) && sudo.length === 0
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await work()
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main(async () => {
    const names = process.argv.slice(2)
    const unknown = names.filter((name) => !(name in known))
    if (unknown.length > 0) throw new Stop(`Unknown: ${unknown.join(', ')}`, `Choose from: ${Object.keys(known).join(', ')}`)
    await ensureSystemPackages(names.length > 0 ? names : undefined)
    console.log('System packages: all there.')
  })
