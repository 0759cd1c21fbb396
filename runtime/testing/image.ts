import { readFile } from 'node:fs/promises'
import path from 'node:path'
import Docker from 'dockerode'
import { type Header, pack } from 'tar-stream'
import { exec } from '@/shared/node/exec'
import type { Artifact } from '@/shared/release'
import { testApp } from './app'

/** Builds an image with the test app, Node and its libraries only: no registry, one second. */
export async function buildTestImage(socket: string, tag: string): Promise<Artifact> {
  const docker = new Docker({ socketPath: socket })
  const node = process.execPath
  const libraries = new Set(await librariesOf(node))
  // Libraries for name resolution, loaded by name at run time, so that ldd does not list them.
  for (const library of [...libraries]) {
    if (!path.basename(library).startsWith('libc.so')) continue
    for (const name of ['libresolv.so.2', 'libnss_dns.so.2', 'libnss_files.so.2']) libraries.add(path.join(path.dirname(library), name))
  }
  const tar = pack()
  const mtime = new Date(0)
  const add = (header: Partial<Header> & { name: string }, content?: Buffer | string) =>
    tar.entry({ mode: 0o755, mtime, ...header } as Header, content ?? '')
  for (const name of ['app/', 'usr/', 'usr/bin/', 'etc/', 'proc/', 'sys/', 'dev/']) add({ name, type: 'directory' })
  add({ name: 'tmp/', type: 'directory', mode: 0o1777 })
  for (const library of libraries) {
    const content = await readFile(library).catch(() => null)
    if (content) add({ name: library.slice(1) }, content)
  }
  add({ name: 'usr/bin/node' }, await readFile(node))
  add({ name: 'app/server.cjs', mode: 0o644 }, testApp)
  add({ name: 'etc/nsswitch.conf', mode: 0o644 }, 'hosts: files dns\n')
  add({ name: 'etc/passwd', mode: 0o644 }, 'root:x:0:0:root:/:/\napp:x:1000:1000:app:/tmp:/\n')
  tar.finalize()
  const [repo, version] = tag.split(':')
  const answer = await docker.importImage(
    tar as unknown as NodeJS.ReadableStream,
    {
      repo,
      tag: version,
      changes: ['ENV PATH=/usr/bin', 'WORKDIR /app', 'CMD ["node","server.cjs"]'],
    } as object,
  )
  await new Promise((resolve, reject) => answer.on('end', resolve).on('error', reject).resume())
  const image = await docker.getImage(tag).inspect()
  return {
    kind: 'image',
    digest: image.Id,
    sizeBytes: image.Size,
    framework: 'node',
    start: { argv: ['node', 'server.cjs'], env: {} },
    port: 3000,
    healthCheckPath: '/',
    nodeVersion: null,
    packageManager: null,
  }
}

async function librariesOf(binary: string): Promise<string[]> {
  const { stdout } = await exec(['ldd', binary], { deadlineMs: 10_000 })
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string)
}
