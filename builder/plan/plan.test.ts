import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { detect } from '@/builder/detect'
import { type BuildSettings, noSettings } from '@/shared/build-plan'
import { makePlan } from '.'
import { finishNext } from './next-finish'
import { withExec } from './start'

const fixtures = fileURLToPath(new URL('../../test/fixtures', import.meta.url))

/** Fixtures whose root directory is not their top. */
const settingsOf: Record<string, Partial<BuildSettings>> = {
  'nextjs-pnpm-workspace': { rootDirectory: './apps/web/' },
  'node-npm-workspace': { rootDirectory: 'apps/api' },
}

async function planOf(name: string, settings: Partial<BuildSettings> = {}) {
  const all = { ...noSettings, ...settingsOf[name], ...settings }
  const detection = await detect(`${fixtures}/apps/${name}`, all)
  return { plan: makePlan(detection, all), report: detection.report }
}

describe('plans of the fixtures', () => {
  test.each(readdirSync(`${fixtures}/apps`).sort())('%s', async (name) => {
    const { plan, report } = await planOf(name)
    const { evidence, warnings } = report
    await expect(`${JSON.stringify({ plan, evidence, warnings }, null, 2)}\n`).toMatchFileSnapshot(`${fixtures}/plans/${name}.json`)
  })

  test('the same input makes the same plan', async () => {
    expect(await planOf('nextjs-npm')).toEqual(await planOf('nextjs-npm'))
  })
})

describe('settings', () => {
  test('commands of the person replace what was detected', async () => {
    const { plan, report } = await planOf('express-yarn-classic', {
      installCommand: 'yarn --prefer-offline',
      buildCommand: 'yarn codegen',
      startCommand: 'node other.js',
    })
    expect(plan.commands.map(({ command }) => command)).toEqual(['yarn --prefer-offline', 'yarn codegen'])
    expect(plan.commands[0]?.cacheKeyFiles, 'an unknown install is never skipped').toEqual([])
    expect(plan.start.argv).toEqual(['sh', '-c', 'export PATH="$PWD/node_modules/.bin:$PATH"; exec node other.js'])
    expect(report.settings).toEqual({
      installCommand: 'yarn --prefer-offline',
      buildCommand: 'yarn codegen',
      startCommand: 'node other.js',
      outputDirectory: null,
    })
  })

  test('a start command that calls pnpm or Yarn gets the one of the build, ahead of any other', async () => {
    const { plan } = await planOf('express-yarn-classic', { startCommand: 'yarn start' })
    expect(plan.packageManagerAtStart).toBe(true)
    expect(plan.start.argv[2]).toMatch(/^export PATH="\$PWD\/\.switchyard\/package-manager\/\.bin:\$PATH"; .*exec yarn start$/)
    expect((await planOf('express-yarn-classic', { startCommand: 'node yarn.js' })).plan.packageManagerAtStart).toBeUndefined()
    expect((await planOf('express-yarn-classic', { startCommand: 'npm start' })).plan.packageManagerAtStart).toBeUndefined()
  })

  test('an empty command means none', async () => {
    expect((await planOf('vite-pnpm', { installCommand: '', buildCommand: ' ' })).plan.commands).toEqual([])
  })

  test('an output directory is where the site is taken from', async () => {
    const { plan } = await planOf('vite-pnpm', { outputDirectory: './out/web/' })
    expect(plan.outputs).toEqual([{ from: 'out/web', to: 'site', exclude: [] }])
  })

  test('a start command makes a server of a Next.js app and of a Vite app', async () => {
    expect((await planOf('nextjs-npm', { startCommand: 'node run.mjs' })).plan).toMatchObject({
      framework: 'nextjs',
      outputs: [{ from: '.' }],
      staticSite: null,
    })
    expect((await planOf('vite-pnpm', { startCommand: 'vite preview --host' })).plan).toMatchObject({ framework: 'node', staticSite: null })
  })

  test('any command or an output directory sets a Dockerfile aside', async () => {
    expect((await planOf('dockerfile-beside-next')).plan.framework).toBe('dockerfile')
    expect((await planOf('dockerfile-beside-next', { buildCommand: 'npm run build' })).plan.framework).toBe('nextjs')
  })
})

describe('exec', () => {
  test.each([
    ['node server.js', 'exec node server.js'],
    ['NODE_ENV=production node server.js', 'NODE_ENV=production exec node server.js'],
    ['A="b c" B=1  next start -p $PORT', 'A="b c" B=1  exec next start -p $PORT'],
    ['node migrate.js && node server.js', 'node migrate.js && exec node server.js'],
    ['a && b && c', 'a && b && exec c'],
    ['echo "a && b"', 'echo "a && b"'],
    ['a & b && c', 'a & b && c'],
    ['a || b && c', 'a || b && c'],
    ['a && cd b', 'a && cd b'],
    ['cd app', 'cd app'],
    ['X=1', 'X=1'],
    ['node "$(cat name)"', 'node "$(cat name)"'],
    ['node a.js | tee log', 'node a.js | tee log'],
    ['node a.js\nrm b', 'node a.js\nrm b'],
  ])('%j becomes %j', (command, expected) => {
    expect(withExec(command)).toBe(expected)
  })
})

test('the finishing program of Next.js fits between single quotes', () => {
  expect(finishNext(".ne'xt").split("'")).toHaveLength(5)
})
