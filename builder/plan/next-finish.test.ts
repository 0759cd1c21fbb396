import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'
import { baseEnv, exec } from '@/shared/node/exec'
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
