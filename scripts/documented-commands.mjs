// Runs the commands that README, docs/ and bench/README.md name on a bare Debian, as a newcomer would:
//   node scripts/documented-commands.mjs            all of them (about an hour on two cores; root only)
//   node scripts/documented-commands.mjs up lint    some, by the names in the table below
//   node scripts/documented-commands.mjs --list     which there are
// Each runs in a mount and process namespace over a fresh copy: a minimal Debian by debootstrap, Node and npm, and a clone of HEAD. Nothing else.
// `test/documented-commands.test.ts` holds that every command the documents name stands in the table.
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { childEnv, main, root, run, Stop, which } from './support/run.mjs'
import { ensureSystemPackages } from './system-packages.mjs'

const minute = 60_000
/** Kept between runs: making it takes a minute. */
const base = '/var/tmp/switchyard-bare-debian'

/**
 * name → how a document writes the command (a regular expression over its text), and how it runs here: `shell` is the newcomer's input with
 * small numbers in place of full ones; `until`, for what stays in the foreground, is the line that says it works.
 */
export const commands = {
  up: { documented: /npm run up/, shell: 'npm run up', until: /The example answers|http:\/\/example\.localhost/ },
  test: { documented: /npm test\b/, shell: 'npm test', deadlineMs: 60 * minute },
  'test:unit': { documented: /npm run test:unit/, shell: 'npm run test:unit' },
  'test:api': { documented: /npm run test:api/, shell: 'npm run test:api -- server/jobs' },
  'test:long': { documented: /npm run test:long/, shell: 'npm run test:long -- test/platform/disk', deadlineMs: 60 * minute },
  dev: { documented: /npm run dev`/, shell: 'npm run dev', until: /"ready"/ },
  'dev:parts': {
    documented: /dev:(dashboard|api|builder)/,
    shell: 'npm run dev:builder & npm run dev:api & npm run dev:dashboard',
    until: /("ready"[\s\S]*){3}/,
  },
  check: { documented: /npm run check/, shell: 'npm run check' },
  generate: { documented: /npm run generate/, shell: 'npm ci && npm run generate' },
  lint: { documented: /npm run lint/, shell: 'npm ci && npm run lint' },
  typecheck: { documented: /npm run typecheck/, shell: 'npm ci && npm run typecheck' },
  start: { documented: /npm (run build && npm )?start/, shell: 'npm ci && npm run build && npm start', until: /One-time code/ },
  build: { documented: /npm (ci|run build)/, shell: 'npm ci && npm run build' },
  'command-line': { documented: /bin\/switchyard/, shell: 'npm ci && npm run build && bin/switchyard --help' },
  'bench:router': {
    documented: /npm run bench:router/,
    shell: 'npm ci && npm run build && npm run bench:router -- --rounds 1 --seconds 1 --only http1 --routes 100',
    // 1: a bar was missed, which a second of load may do. What counts is that it measured.
    until: /requests per CPU-second|\{"/,
  },
  'bench:redeploy': {
    documented: /node bench\/redeploy\.mjs/,
    shell: 'npm ci && npm run build && node bench/redeploy.mjs --redeploys 2 --connections 4 --runtime process',
  },
  'bench:deploy': {
    documented: /node bench\/deploy\.mjs/,
    shell: 'npm ci && npm run build && node bench/deploy.mjs --rounds 1 --example static',
    // Without an engine it cannot compare; it must say so.
    refuses: /engine|docker/i,
  },
  'bench:rollback': {
    documented: /node bench\/rollback\.mjs/,
    shell: 'npm ci && npm run build && node bench/rollback.mjs --rollbacks 2',
  },
  'bench:idle': {
    documented: /node bench\/idle\.mjs/,
    shell: 'npm ci && npm run build && node bench/idle.mjs --projects 2 --minutes 0.2 --settle 5',
    // 1: a bar was missed. What counts is that it measured.
    until: /"processes":\[/,
  },
  'bench:certificates': { documented: /bench\/certificates\.ts/, shell: 'npm ci && npm run build && npx tsx bench/certificates.ts --names 5' },
  testssl: { documented: /conformance\/tls\/testssl\.ts/, shell: 'npm ci && npm run build && npx tsx test/conformance/tls/testssl.ts lean' },
  screenshots: { documented: /scripts\/screenshots\.ts/, shell: 'npm ci && npm run build && npx tsx scripts/screenshots.ts login' },
  'system-packages': { documented: /scripts\/system-packages\.mjs/, shell: 'node scripts/system-packages.mjs git' },
  engine: { documented: /scripts\/dockerd\.mjs/, shell: 'node scripts/dockerd.mjs host', refuses: /No Docker engine answers/ },
}

/** Documents that tell people to type something. */
export function documents() {
  const below = (directory) =>
    readdirSync(path.join(root, directory), { recursive: true })
      .filter((name) => name.endsWith('.md') && !name.startsWith('decisions'))
      .map((name) => path.join(directory, name))
  return ['README.md', 'CONTRIBUTING.md', 'bench/README.md', ...below('docs')].filter((file) => existsSync(path.join(root, file)))
}

/** Commands of this clone in a text: lines of code blocks and code spans that begin with one of our tools. */
export function commandsIn(text) {
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code)
  const blocks = [...text.matchAll(/```\w*\n([\s\S]*?)```|((?:^ {4}\S.*\n)+)/gm)].flatMap(([, fenced, indented]) => (fenced ?? indented).split('\n'))
  return [...spans, ...blocks]
    .map((line) =>
      line
        .trim()
        .replace(/^\$ /, '')
        .replace(/\s+#.*$/, ''),
    )
    .filter((line) => /^([A-Z_]+=\S+ )*(npm (run |test|start|ci)|node (scripts|bench)\/|npx tsx |bin\/switchyard|git pull && npm)/.test(line))
}

/** A minimal Debian with Node and npm of this machine: what the README asks for, and no more. */
async function makeBase() {
  if (existsSync(`${base}/made`)) return
  await ensureSystemPackages(['debootstrap'])
  rmSync(base, { recursive: true, force: true })
  const made = await run(['debootstrap', '--variant=minbase', '--include=ca-certificates,git', 'bookworm', base, 'http://deb.debian.org/debian'], {
    deadlineMs: 20 * minute,
  })
  if (!made.ok) throw new Stop('debootstrap failed.', "Read its message above. Is Debian's mirror reachable?")
  const node = realpathSync(which('node', { PATH: '/usr/local/bin:/usr/bin' }) ?? process.execPath)
  const npm = path.dirname(path.dirname(realpathSync(which('npm'))))
  cpSync(node, `${base}/usr/bin/node`, { dereference: true })
  cpSync(npm, `${base}/usr/lib/node_modules/npm`, { recursive: true })
  for (const tool of ['npm', 'npx'])
    writeFileSync(`${base}/usr/bin/${tool}`, `#!/bin/sh\nexec node /usr/lib/node_modules/npm/bin/${tool}-cli.js "$@"\n`, { mode: 0o755 })
  // The network of this machine: its name servers, mirror settings, certificates, registry.
  for (const file of [
    '/etc/resolv.conf',
    '/etc/hosts',
    '/etc/ssl/certs/ca-certificates.crt',
    '/etc/apt/sources.list',
    '/etc/apt/sources.list.d',
    '/etc/apt/apt.conf.d',
  ])
    if (existsSync(file)) cpSync(realpathSync(file), `${base}${file}`, { recursive: true, force: true, dereference: true })
  if (existsSync('/usr/share/keyrings')) cpSync('/usr/share/keyrings', `${base}/usr/share/keyrings`, { recursive: true })
  writeFileSync(`${base}/made`, '')
}

/** Runs one command over a copy that is thrown away; the whole process namespace ends with it. */
async function runBare(name, { shell, until, refuses, deadlineMs = 20 * minute }) {
  const work = `/var/tmp/switchyard-bare-${process.pid}`
  for (const part of ['upper', 'work', 'root']) mkdirSync(`${work}/${part}`, { recursive: true })
  const clone = `${work}/upper/root/switchyard`
  mkdirSync(path.dirname(clone), { recursive: true })
  await run(['git', 'clone', '-q', '--no-hardlinks', root, clone], { deadlineMs: minute })
  const inside = [
    `mount -t overlay overlay -o lowerdir=${base},upperdir=${work}/upper,workdir=${work}/work ${work}/root`,
    `mount -t proc proc ${work}/root/proc`,
    `mount --rbind /dev ${work}/root/dev`,
    `mount --rbind /sys ${work}/root/sys`,
    `exec chroot ${work}/root /bin/sh -c 'cd /root/switchyard && ${shell}'`,
  ].join(' && ')
  const keep = Object.entries(process.env).filter(([key]) =>
    /^(HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|npm_config_registry|NODE_EXTRA_CA_CERTS)$/.test(key),
  )
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8', ...Object.fromEntries(keep) }
  const outcome = await run(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', 'sh', '-c', inside], {
    capture: true,
    deadlineMs,
    env,
    ...(until ? { until } : {}),
  })
  rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  const good = until ? until.test(outcome.output) : refuses ? !outcome.ok && refuses.test(outcome.output) : outcome.ok
  console.log(`${good ? '✓' : '✗'} ${name}: ${shell}`)
  if (!good) console.log(outcome.output.slice(-3000))
  return good
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main(async () => {
    const asked = process.argv.slice(2)
    if (asked.includes('--list')) {
      console.log(
        Object.entries(commands)
          .map(([name, { shell }]) => `${name.padEnd(20)} ${shell}`)
          .join('\n'),
      )
      return
    }
    const unknown = asked.filter((name) => !commands[name])
    if (unknown.length > 0) throw new Stop(`Unknown: ${unknown.join(', ')}`, `Choose from: ${Object.keys(commands).join(', ')}`)
    if (process.getuid?.() !== 0) throw new Stop('Making a bare Debian needs root.', 'sudo node scripts/documented-commands.mjs')
    process.env.PATH = childEnv().PATH
    await makeBase()
    let failed = 0
    const names = asked.length > 0 ? asked : Object.keys(commands)
    for (const name of names) if (!(await runBare(name, commands[name]))) failed += 1
    console.log(`${names.length - failed} passed, ${failed} failed`)
    process.exitCode = failed > 0 ? 1 : 0
  })
