import { access } from 'node:fs/promises'
import path from 'node:path'
import type { Artifact as ArtifactRow } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { StaticContent } from '@/shared/route-table'
import { artifactOf, type ReleaseConfig } from '../instances/launch'
import { adoptOutputRules } from '../rules/output-rules'
import type { ContentSpec } from '../static-content/static-content'
import type { DeployDeps, DeployRun } from './deploy-run'

/**
 * Steps "start" and "health" of a static site: routers serve its files from disk, so no instance starts. Unpacks the files and checks that
 * the health check's page exists.
 */
export async function unpackStaticFiles(
  deps: DeployDeps,
  run: DeployRun,
  artifact: ArtifactRow,
  spec: ContentSpec,
  config: ReleaseConfig,
): Promise<void> {
  const content = await run.record.step('start', async () => {
    const value = await deps.contents.ensure(artifactOf(artifact), spec)
    await adoptOutputRules(run, artifact, value.directory)
    run.log.write({ step: 'start', stream: 'system', text: 'Static files: the routers serve them without an instance.' })
    return { value, detail: 'files for the routers' }
  })
  run.signal.throwIfAborted()
  await run.record.step('health', async () => {
    const { path: wanted, strict } = config.health
    if (await hasPage(content, wanted)) return { value: undefined, detail: `${wanted} is there` }
    // The default path `/` may be missing; a path configured by the user must exist.
    if (!strict) return { value: undefined, detail: 'files are there' }
    throw new AppError('ERR_HEALTH_CHECK', `The new version has no page at ${wanted}, which its health check asks for.`, {
      nextAction: 'Correct the health check path in the settings, or make the build write that page, then deploy again.',
    })
  })
}

/** Resolves a page like the routers: the exact file, the file with `.html`, or the directory's index. */
export async function hasPage(content: StaticContent, wanted: string): Promise<boolean> {
  const name = decoded(wanted.split('?')[0] ?? '/')
  const at = path.join(content.directory, path.posix.normalize(`/${name}`))
  const candidates = name.endsWith('/') ? [path.join(at, 'index.html')] : [at, `${at}.html`, path.join(at, 'index.html')]
  if (content.spa && path.extname(name) === '') candidates.push(path.join(content.directory, 'index.html'))
  for (const candidate of candidates) if (await readable(candidate)) return true
  return false
}

/** Percent-decodes a path; returns an invalid escape unchanged. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const readable = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  )
