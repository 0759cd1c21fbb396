import { noSettings } from '@/shared/build-plan'
import { withDeadline } from '@/shared/node/deadline'
import type { InspectionView } from '@/shared/views'
import type { Actor } from '../actor'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'

const inspectDeadlineMs = 120_000

interface Input {
  repository: string
  branch?: string | null | undefined
  rootDirectory?: string | null | undefined
}

/** Fetches the repository and returns the detected build plan without recording it. @throws ERR_SOURCE, ERR_DETECT */
export async function inspectRepository(deps: ProjectDeps, actor: Actor, input: Input, signal?: AbortSignal): Promise<InspectionView> {
  authorize(actor, 'project.create')
  const source = { kind: 'git' as const, url: input.repository, ref: input.branch || null, allowPrivateNetwork: actor.operator }
  const settings = { ...noSettings, rootDirectory: input.rootDirectory || null }
  const { report, commit } = await withDeadline(
    'The inspection of the repository',
    inspectDeadlineMs,
    (inner) => deps.builder.inspect(source, settings, inner),
    signal,
  )
  const { framework, summary, packageManager, nodeMajor, evidence, warnings } = report
  return { framework, summary, packageManager, nodeMajor, settings: report.settings, evidence, warnings, commit }
}
