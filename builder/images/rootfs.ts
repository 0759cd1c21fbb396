import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import type { ArchiveEntry } from '@/builder/execute/archive'
import type { FileFacts } from './file-facts'

/** Tools for shell scripts of builds, copied from this machine if available. */
const buildTools =
  `bash cat chmod chown cp cut date dd df dirname du basename echo env expand expr false find fmt fold grep egrep fgrep gunzip gzip head
  hostname id install join kill ln ls md5sum mkdir mkfifo mktemp mv nl nproc od paste patch diff cmp printenv printf ps pwd readlink realpath rm rmdir sed
  seq sha1sum sha256sum sha512sum shuf sleep sort split stat stty sum sync tac tail tar tee test timeout touch tr true truncate tsort tty uname uniq
  unlink unzip wc which whoami xargs xz yes zcat awk base64 comm curl jq git git-upload-pack git-receive-pack`.split(/\s+/)

// Libraries loaded by name at run time, which `ldd` does not show: name resolution and stack unwinding of threads.
const openedAtRunTime = ['libresolv.so.2', 'libnss_dns.so.2', 'libnss_files.so.2', 'librt.so.1', 'libgcc_s.so.1']
const searchPath = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

class Tree {
  readonly entries = new Map<string, ArchiveEntry>()
  directory(name: string, mode = 0o755): void {
    if (!this.entries.has(name)) this.entries.set(name, { name, type: 'directory', mode, size: 0 })
  }
  link(name: string, linkname: string): void {
    this.parents(name)
    this.entries.set(name, { name, type: 'symlink', mode: 0o777, size: 0, linkname })
  }
  text(name: string, text: string): void {
    this.parents(name)
    this.entries.set(name, { name, type: 'file', mode: 0o644, size: Buffer.byteLength(text), content: Buffer.from(text) })
  }
  async file(name: string, source: string): Promise<void> {
    this.parents(name)
    const real = await realpath(source)
    const found = await stat(real)
    this.entries.set(name, { name, type: 'file', mode: found.mode & 0o111 ? 0o755 : 0o644, size: found.size, source: real })
  }
  sorted(without: ReadonlySet<string> = new Set()): ArchiveEntry[] {
    return [...this.entries.values()].filter((entry) => !without.has(entry.name)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  private parents(name: string): void {
    const parts = name.split('/').slice(0, -1)
    for (let depth = 1; depth <= parts.length; depth++) this.directory(parts.slice(0, depth).join('/'))
  }
}

/** Files of the run image: Node with npm, shared libraries, a shell, CA certificates, accounts. */
export async function runRootfs(nodeBinary: string, caFile: string | null, facts: FileFacts): Promise<ArchiveEntry[]> {
  const tree = new Tree()
  for (const name of ['app', 'home', 'home/node', 'dev', 'etc', 'proc', 'run', 'sys', 'usr/bin', 'usr/lib', 'usr/lib64', 'var']) tree.directory(name)
  tree.directory('usr')
  tree.directory('tmp', 0o1777)
  for (const name of ['bin', 'lib', 'lib64']) tree.link(name, `usr/${name}`)
  tree.link('usr/sbin', 'bin')
  tree.link('sbin', 'usr/bin')
  await addProgram(facts, tree, 'usr/bin/node', nodeBinary)
  const shell = (await find('dash')) ?? (await find('sh'))
  if (shell) await addProgram(facts, tree, 'usr/bin/sh', shell)
  const envTool = await find('env')
  // Most programs that npm installs start with `#!/usr/bin/env node`.
  if (envTool) await addProgram(facts, tree, 'usr/bin/env', envTool)
  await addNpm(tree)
  if (caFile) tree.text('etc/ssl/certs/ca-certificates.crt', await readFile(caFile, 'utf8'))
  tree.text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')
  tree.text('etc/group', 'root:x:0:\nnode:x:1000:\nnogroup:x:65534:\n')
  tree.text('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')
  return tree.sorted()
}

/** Additional files of the build image: tools for shell scripts, and git. No compiler. */
export async function toolsRootfs(below: readonly ArchiveEntry[], facts: FileFacts): Promise<ArchiveEntry[]> {
  const tree = new Tree()
  for (const name of buildTools) {
    const found = await find(name)
    if (found) await addProgram(facts, tree, `usr/bin/${name}`, found)
  }
  await addGitHelpers(tree, facts)
  return tree.sorted(new Set(below.map((entry) => entry.name)))
}

async function find(name: string): Promise<string | null> {
  for (const directory of searchPath) {
    const file = path.join(directory, name)
    if (
      await stat(file).then(
        (found) => found.isFile() && (found.mode & 0o111) !== 0,
        () => false,
      )
    )
      return file
  }
  return null
}

async function addProgram(facts: FileFacts, tree: Tree, name: string, source: string): Promise<void> {
  await tree.file(name, source)
  for (const library of await librariesOf(source, facts)) {
    const target = library.replace(/^\/(usr\/)?(lib\w*)\//, 'usr/$2/').replace(/^\//, '')
    if (!tree.entries.has(target)) await tree.file(target, library)
  }
}

/** Shared libraries of a program, including those loaded by name. */
async function librariesOf(program: string, facts: FileFacts): Promise<Set<string>> {
  const found = new Set(await facts.libraries(program))
  const libc = [...found].find((library) => path.basename(library).startsWith('libc.so'))
  for (const name of libc ? openedAtRunTime : []) {
    const library = path.join(path.dirname(libc as string), name)
    if (
      await stat(library).then(
        () => true,
        () => false,
      )
    )
      found.add(library)
  }
  return found
}

async function addNpm(tree: Tree): Promise<void> {
  const command = await find('npm')
  if (!command) return
  const root = path.dirname(path.dirname(await realpath(command)))
  // Debian's own npm is spread over /usr/share/nodejs; only a complete npm directory can be copied.
  if (
    !(await stat(path.join(root, 'node_modules')).then(
      () => true,
      () => false,
    ))
  )
    return
  await addTree(tree, root, 'usr/lib/node_modules/npm', (name) => !/^(man|docs)(\/|$)/.test(name))
  tree.link('usr/bin/npm', '../lib/node_modules/npm/bin/npm-cli.js')
  tree.link('usr/bin/npx', '../lib/node_modules/npm/bin/npx-cli.js')
}

async function addGitHelpers(tree: Tree, facts: FileFacts): Promise<void> {
  const core = '/usr/lib/git-core'
  if (
    !tree.entries.has('usr/bin/git') ||
    !(await stat(core).then(
      () => true,
      () => false,
    ))
  )
    return
  tree.link('usr/lib/git-core/git', '../../bin/git')
  await addProgram(facts, tree, 'usr/lib/git-core/git-remote-http', path.join(core, 'git-remote-http'))
  for (const name of ['git-remote-https', 'git-remote-ftp']) tree.link(`usr/lib/git-core/${name}`, 'git-remote-http')
  for (const name of ['git-submodule', 'git-sh-setup', 'git-sh-i18n'])
    if (
      await stat(path.join(core, name)).then(
        () => true,
        () => false,
      )
    )
      await tree.file(`usr/lib/git-core/${name}`, path.join(core, name))
}

async function addTree(tree: Tree, source: string, target: string, keep: (name: string) => boolean, below = ''): Promise<void> {
  tree.directory(target)
  for (const item of await readdir(path.join(source, below), { withFileTypes: true })) {
    const relative = below ? `${below}/${item.name}` : item.name
    if (!keep(relative)) continue
    const file = path.join(source, relative)
    if (item.isDirectory()) {
      tree.directory(`${target}/${relative}`)
      await addTree(tree, source, target, keep, relative)
    } else if (item.isSymbolicLink()) tree.link(`${target}/${relative}`, await readlink(file))
    else if ((await lstat(file)).isFile()) await tree.file(`${target}/${relative}`, file)
  }
}

/** Hash of a file system's content, equal for equal layers. */
export async function rootfsHash(entries: readonly ArchiveEntry[], facts: FileFacts): Promise<string> {
  const hash = createHash('sha256')
  for (const entry of entries) {
    hash.update(JSON.stringify([entry.name, entry.type, entry.mode, entry.size, entry.linkname ?? null]))
    if (entry.content) hash.update(entry.content)
    else if (entry.source) hash.update(await facts.digest(entry.source))
  }
  return hash.digest('hex')
}
