import path from 'node:path'
import type { Detection } from '@/builder/detect/detection'
import type { BuildPlan, BuildSettings, PlanCommand, PlanOutput, StartSpec } from '@/shared/build-plan'
import { finishNext, nextPreload, nextStart } from './next-finish'
import { nodeStart } from './start'

/** Where a static site lies in its artifact, beside `.switchyard/static-server.mjs`, which the executor adds. */
const siteDirectory = 'site'
const neverShipped = ['.git', '.switchyard']
/** Files of the project that are no part of a plain HTML site, and may hold secrets. */
const neverServed = [
  ...neverShipped,
  'node_modules',
  '.env',
  '.env.local',
  '.env.development',
  '.env.production',
  '.npmrc',
  '.yarnrc.yml',
  '.gitignore',
  '.switchyardignore',
]
const serverEnv = { NODE_ENV: 'production' }
const defaultPort = 3000

/** The parts of a plan that differ from one shape to the next. */
interface Assembly {
  outputs: PlanOutput[]
  start: StartSpec
  cacheDirectories: string[]
  finish: string | null
  staticSite: BuildPlan['staticSite']
  nextDirectory?: string
}

function assembleSite(from: string, spaFallback: boolean, cacheDirectories: string[], exclude: string[]): Assembly {
  return {
    outputs: [{ from, to: siteDirectory, exclude }],
    start: { argv: ['node', '.switchyard/static-server.mjs', '--root', siteDirectory, ...(spaFallback ? ['--spa'] : [])], env: serverEnv },
    cacheDirectories,
    finish: null,
    staticSite: { directory: siteDirectory, spaFallback },
  }
}

function assemble(detection: Detection, settings: BuildSettings): Assembly {
  const { shape, rootDirectory, workspaceRoot } = detection
  switch (shape.kind) {
    case 'next-standalone':
      return {
        outputs: [{ from: `${shape.distDirectory}/standalone`, to: '.', exclude: [] }],
        // Next closes idle connections after 5 s, in the middle of the router's next request over them.
        start: { argv: nextStart, env: { ...serverEnv, KEEP_ALIVE_TIMEOUT: '65000' } },
        cacheDirectories: [`${shape.distDirectory}/cache`],
        finish: finishNext(shape.distDirectory),
        staticSite: null,
      }
    case 'static-build':
      return assembleSite(shape.outputDirectory || '.', shape.spaFallback, shape.cacheDirectories, shape.outputDirectory === '' ? neverServed : [])
    case 'html':
      return assembleSite(shape.directory || '.', shape.spaFallback, [], neverServed)
    case 'node': {
      const start = settings.startCommand?.trim() ? { ...shape.start, before: [], command: settings.startCommand } : shape.start
      // In a workspace the app needs its siblings and the packages above it: all of it is shipped, from the workspace's root on.
      const owner = workspaceRoot === '' ? '.' : workspaceRoot
      const appDirectory = workspaceRoot === '' ? '' : belowOwner(rootDirectory, workspaceRoot)
      const nextDirectory = shape.nextDirectory === undefined ? {} : { nextDirectory: path.posix.join(appDirectory, shape.nextDirectory) }
      const spec = nodeStart(start, appDirectory, workspaceRoot, shape.nextDirectory === undefined ? null : nextPreload)
      return {
        outputs: [
          {
            from: owner,
            to: '.',
            exclude: [
              ...neverShipped,
              'node_modules/.cache',
              ...shape.cacheDirectories.map((directory) => (appDirectory === '' ? directory : `${appDirectory}/${directory}`)),
            ],
          },
        ],
        start: { argv: spec.argv, env: { ...serverEnv, ...spec.env } },
        cacheDirectories: shape.cacheDirectories,
        finish: null,
        staticSite: null,
        ...nextDirectory,
      }
    }
    case 'dockerfile':
      return { outputs: [], start: { argv: [], env: {} }, cacheDirectories: [], finish: null, staticSite: null }
  }
}

/** `apps/web` seen from the workspace two levels up is `apps/web`; seen from `apps` it is `web`. */
function belowOwner(rootDirectory: string, workspaceRoot: string): string {
  return rootDirectory.split('/').slice(-workspaceRoot.split('/').length).join('/')
}

function commandsOf(detection: Detection, settings: BuildSettings, assembly: Assembly): PlanCommand[] {
  if (detection.shape.kind === 'dockerfile') return []
  const { packages } = detection
  const commands: PlanCommand[] = []
  const install = settings.installCommand ?? packages.installCommand
  // An install command of the person's own may read anything, so it is never skipped.
  const keyFiles = settings.installCommand === null ? packages.keyFiles : []
  if (install?.trim()) commands.push({ step: 'install', command: install, cacheDirectories: packages.moduleDirectories, cacheKeyFiles: keyFiles })
  const build = settings.buildCommand ?? detection.buildCommand
  if (build?.trim()) commands.push({ step: 'build', command: build, cacheDirectories: assembly.cacheDirectories, cacheKeyFiles: [] })
  if (assembly.finish !== null) commands.push({ step: 'build', command: assembly.finish, cacheDirectories: [], cacheKeyFiles: [] })
  return commands
}

const managerEnv: Record<BuildPlan['packageManager'], Record<string, string>> = {
  npm: { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' },
  pnpm: { npm_config_update_notifier: 'false' },
  yarn: {},
  none: {},
}

/** What is cached comes first only where the lock file names every version: without one, the cache would hide newer versions. */
function offlineEnv({ packages }: Detection, settings: BuildSettings): Record<string, string> {
  const locked = settings.installCommand === null && packages.installCommand?.startsWith('npm ci')
  return locked ? { npm_config_prefer_offline: 'true' } : {}
}

/** Detection and settings → plan. Pure: equal input, equal plan. */
export function makePlan(detection: Detection, settings: BuildSettings): BuildPlan {
  const { shape, packages, report } = detection
  const assembly = assemble(detection, settings)
  const isDocker = shape.kind === 'dockerfile'
  return {
    version: 1,
    framework: detection.framework,
    summary: report.summary,
    packageManager: report.packageManager,
    packageManagerVersion: isDocker ? null : packages.version,
    nodeMajor: detection.nodeMajor,
    rootDirectory: detection.rootDirectory,
    commands: commandsOf(detection, settings, assembly),
    buildEnv: isDocker
      ? {}
      : { CI: '1', ...managerEnv[report.packageManager], ...offlineEnv(detection, settings), ...packages.env, ...detection.buildEnv },
    outputs: assembly.outputs,
    start: assembly.start,
    port: isDocker ? (shape.port ?? defaultPort) : defaultPort,
    healthCheckPath: '/',
    dockerfile: isDocker ? shape.file : null,
    staticSite: assembly.staticSite,
    ...(assembly.nextDirectory === undefined ? {} : { nextDirectory: assembly.nextDirectory }),
  }
}
