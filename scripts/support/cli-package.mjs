// dist/cli.tgz: the command as an npm package of one file, which the platform serves at /cli.tgz. The same sources give the same bytes.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'

/** Packs dist/cli.mjs, which bundles its dependencies. */
export async function writeCliPackage(root) {
  const read = (name) => readFileSync(path.join(root, name), 'utf8')
  const { name, version, license, engines } = JSON.parse(read('package.json'))
  const manifest = {
    name,
    version,
    description: 'The command of a Switchyard platform.',
    license,
    type: 'module',
    engines,
    bin: { switchyard: 'cli.mjs' },
  }
  const files = {
    'package/package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'package/README.md': read('docs/cli.md'),
    'package/cli.mjs': `#!/usr/bin/env node\n${read('dist/cli.mjs').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')}`,
  }
  const tar = pack()
  for (const [file, text] of Object.entries(files)) tar.entry({ name: file, mode: file.endsWith('.mjs') ? 0o755 : 0o644, mtime: new Date(0) }, text)
  tar.finalize()
  const archive = gzipSync(await buffer(tar), { level: 9 })
  // The tenth byte of a gzip header names the system it was made on.
  archive[9] = 255
  writeFileSync(path.join(root, 'dist/cli.tgz'), archive)
}
