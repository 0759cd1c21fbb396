import path from 'node:path'
import type { Detection } from '@/builder/detect/detection'
import type { BuildPlan, BuildSettings, PlanCommand, PlanOutput, StartSpec } from '@/shared/build-plan'
import { finishNext, nextPreload, nextStart } from './next-finish'
import { callsPackageManager, nodeStart } from './start'

/** Directory of a static site in its artifact, next to `.switchyard/static-server.mjs`, which the executor adds. */
const siteDirectory = 'site'
const neverShipped = ['.git', '.switchyard']
/** Files that do not belong to a plain HTML site and may contain secrets. */
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

/** The parts of a plan that depend on the shape. */
interface Assembly {
  outputs: PlanOutput[]
  start: StartSpec
  cacheDirectories: string[]
  finish: string | null
  staticSite: BuildPlan['staticSite']
  nextDirectory?: string
  packageManagerAtStart?: true
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
        // Next closes idle connections after 5 s by default, which can interrupt the router's next request on them.
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
      // In a workspace the app needs sibling packages and packages of the workspace root, so the whole workspace is included.
      const owner = workspaceRoot === '' ? '.' : workspaceRoot
      const appDirectory = workspaceRoot === '' ? '' : belowOwner(rootDirectory, workspaceRoot)
      const nextDirectory = shape.nextDirectory === undefined ? {} : { nextDirectory: path.posix.join(appDirectory, shape.nextDirectory) }
      const brings = ['pnpm', 'yarn'].includes(detection.report.packageManager) && callsPackageManager(start)
      const spec = nodeStart(start, appDirectory, workspaceRoot, { preload: shape.nextDirectory === undefined ? null : nextPreload, brings })
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
        ...(brings ? { packageManagerAtStart: true } : {}),
      }
    }
    case 'dockerfile':
      return { outputs: [], start: { argv: [], env: {} }, cacheDirectories: [], finish: null, staticSite: null }
  }
}

/** Path of the app relative to the workspace: `apps/web` or, if the workspace is `apps`, `web`. */
function belowOwner(rootDirectory: string, workspaceRoot: string): string {
  return rootDirectory.split('/').slice(-workspaceRoot.split('/').length).join('/')
}

function commandsOf(detection: Detection, settings: BuildSettings, assembly: Assembly): PlanCommand[] {
  if (detection.shape.kind === 'dockerfile') return []
  const { packages } = detection
  const commands: PlanCommand[] = []
  const install = settings.installCommand ?? packages.installCommand
  // A custom install command may read any file, so it is never skipped.
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

/** Prefers cached packages only if the lock file fixes every version: otherwise the cache would hide newer versions. */
function offlineEnv({ packages }: Detection, settings: BuildSettings): Record<string, string> {
  const locked = settings.installCommand === null && packages.installCommand?.startsWith('npm ci')
  return locked ? { npm_config_prefer_offline: 'true' } : {}
}

/** Makes a plan from detection and settings. Pure: equal input gives an equal plan. */
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
    ...(assembly.packageManagerAtStart ? { packageManagerAtStart: true } : {}),
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
