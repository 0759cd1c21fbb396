import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'
import type { Detection } from '@/builder/detect/detection'
import { platformFiles } from '@/builder/execute/platform-files'
import { noSettings } from '@/shared/build-plan'
import { baseEnv, exec } from '@/shared/node/exec'
import { makePlan } from '.'
import { pagesProgram } from './next-finish'

/** What Next.js does to regenerate a page, by the calls that it makes. */
const regenerate = `
require("./.switchyard/next-pages.cjs")(process.cwd() + "/.next");
const fs = require("fs"), page = process.cwd() + "/.next/server/app/isr.html", made = process.cwd() + "/.next/server/route-cache/a/b.html";
(async () => {
  const before = await fs.promises.readFile(page, "utf8");
  await fs.promises.writeFile(page, "new");
  await fs.promises.mkdir(require("path").dirname(made), { recursive: true });
  await fs.promises.writeFile(made + ".tmp", "linked");
  await fs.promises.link(made + ".tmp", made);
  await fs.promises.unlink(made + ".tmp");
  const again = await fs.promises.link(made, page).catch((error) => error.code);
  const after = [await fs.promises.readFile(page, "utf8"), fs.readFileSync(made, "utf8"), fs.existsSync(made + ".tmp"), (await fs.promises.stat(page)).size];
  console.log(JSON.stringify({ before, after, again, other: fs.readFileSync("other.txt", "utf8") }));
})();
`

it('keeps regenerated pages of Next.js beside its read-only release, and reads them from there', async () => {
  const release = await mkdtemp(path.join(tmpdir(), 'sy-next-'))
  try {
    await mkdir(path.join(release, '.switchyard/cache'), { recursive: true })
    await mkdir(path.join(release, '.next/server/app'), { recursive: true })
    await writeFile(path.join(release, '.switchyard/next-pages.cjs'), pagesProgram)
    await writeFile(path.join(release, '.next/server/app/isr.html'), 'old')
    await writeFile(path.join(release, 'other.txt'), 'other')
    for (const closed of ['.next/server/app', '.next/server']) await chmod(path.join(release, closed), 0o555)
    const { stdout, stderr } = await exec([process.execPath, '-e', regenerate], { cwd: release, env: { ...baseEnv }, deadlineMs: 20_000 })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ before: 'old', after: ['new', 'linked', false, 3], again: 'EEXIST', other: 'other' })
    expect(await readFile(path.join(release, '.next/server/app/isr.html'), 'utf8')).toBe('old')
    expect(await readFile(path.join(release, '.switchyard/cache/pages/app/isr.html'), 'utf8')).toBe('new')
  } finally {
    for (const closed of ['.next/server', '.next/server/app']) await chmod(path.join(release, closed), 0o755)
    await rm(release, { recursive: true, force: true })
  }
})

const packages = { manager: 'npm', version: null, installCommand: null, keyFiles: [], moduleDirectories: [], env: {} } as const
const ownServer = (rootDirectory: string, workspaceRoot: string) => {
  const start = { before: [], command: 'node server.js', entry: null, env: {} }
  const shape = { kind: 'node', start, cacheDirectories: ['.next/cache'], nextDirectory: '.next' } as const
  const report = { framework: 'nextjs', settings: noSettings, packageManager: 'npm', nodeMajor: 24, summary: '', evidence: [], warnings: [] } as const
  const detection = { framework: 'nextjs', shape, rootDirectory, workspaceRoot, packages, nodeMajor: 24, buildCommand: null, buildEnv: {}, report }
  return makePlan(detection as unknown as Detection, noSettings)
}

it.each([
  ['alone', '', '', '.next'],
  ['in a workspace', 'apps/web', '../..', 'apps/web/.next'],
])('a server of the app’s own under Next.js, %s, writes images and pages where a release may be written to', async (_, root, workspace, dist) => {
  const plan = ownServer(root, workspace)
  const release = await mkdtemp(path.join(tmpdir(), 'sy-next-own-'))
  try {
    for (const entry of await platformFiles(plan, { staticServerFile: '/none', packageManagerDirectory: null })) {
      const target = path.join(release, entry.name)
      await mkdir(path.dirname(target), { recursive: true })
      if (entry.type === 'symlink') await symlink(entry.linkname ?? '', target)
      else await writeFile(target, entry.content ?? '')
    }
    const app = path.dirname(path.join(release, dist))
    await mkdir(path.join(app, '.next/server/app'), { recursive: true })
    await writeFile(path.join(app, '.next/server/app/isr.html'), 'old')
    const server = `import { promises as fs } from 'node:fs'; import { createRequire } from 'node:module'
      await createRequire(import.meta.url)('fs').promises.writeFile(process.cwd() + '/.next/server/app/isr.html', 'new')
      await fs.mkdir('.next/cache/images', { recursive: true }); await fs.writeFile('.next/cache/images/a', 'image')
      console.log(await fs.readFile(process.cwd() + '/.next/server/app/isr.html', 'utf8'))`
    await writeFile(path.join(app, 'server.js'), server)
    await writeFile(path.join(app, 'package.json'), '{"type":"module"}')
    const env = { ...baseEnv, PATH: `${path.dirname(process.execPath)}:${baseEnv.PATH}` }
    const { stdout, stderr } = await exec(plan.start.argv as [string, ...string[]], { cwd: release, env, deadlineMs: 20_000 })
    expect([stderr, stdout]).toEqual(['', 'new\n'])
    expect(await readFile(path.join(app, '.next/server/app/isr.html'), 'utf8')).toBe('old')
    expect(await readFile(path.join(release, '.switchyard/cache/pages/app/isr.html'), 'utf8')).toBe('new')
    expect(await readFile(path.join(release, '.switchyard/cache/images/a'), 'utf8')).toBe('image')
  } finally {
    await rm(release, { recursive: true, force: true })
  }
})
