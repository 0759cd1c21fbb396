import type { z } from 'zod'
import { checkAddress } from '@/builder/source/address'
import type { Project } from '@/server/database/generated/client'
import { templateName } from '@/shared/environments'
import { AppError } from '@/shared/errors'
import { slugify } from '@/shared/naming'
import { newId } from '@/shared/node/ids'
import { patchRuntimeSettings } from '@/shared/runtime-settings'
import type { ProjectView, projectInput } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { presentOne } from './read'
import { type StoredRepository, storeRepository } from './repository'
import { freeSlug } from './slug'

type Input = z.output<typeof projectInput>

/** Limit per team, so that a single team cannot fill the route table. */
const maxProjects = 1000

/** Attempts to find a free slug: another request may take the slug between check and insert. */
const tries = 3

/** @throws ERR_CONFLICT when the team has a project of this name, ERR_SOURCE for an invalid repository URL */
export async function createProject(deps: ProjectDeps, actor: Actor, input: Input): Promise<ProjectView> {
  authorize(actor, 'project.create')
  if (input.repository) await checkAddress(input.repository, { allowPrivateNetwork: actor.operator })
  const stored = input.repository ? await storeRepository(deps.secrets, actor.teamId, input.repository) : null
  const db = scopeTo(deps.prisma, actor)
  if ((await db.project.count()) >= maxProjects)
    throw new AppError('ERR_INVALID_INPUT', `A team has at most ${maxProjects} projects.`, { nextAction: 'Remove one that is not used any more.' })
  for (let attempt = 1; ; attempt++) {
    await refuseTakenName(db, input.name)
    // Slugs are unique per installation: this unscoped query reveals only whether a slug is taken.
    const slug = await freeSlug(input.name, {
      taken: async (candidate) => (await deps.prisma.environment.count({ where: { slug: candidate } })) > 0,
      deploymentExists: async (id) => (await deps.prisma.deployment.count({ where: { id } })) > 0,
    })
    try {
      const row = await insert(db, actor, input, stored, slug)
      await deps.bus.publish({ kind: 'project', id: row.id, teamId: actor.teamId, projectId: row.id })
      return presentOne(db, row, deps.edge)
    } catch (error) {
      if (!isUniqueViolation(error) || attempt === tries) throw error
    }
  }
}

/** Refuses a name that another project of the team has; for a new project (no `exceptId`), also an equal slug. @throws ERR_CONFLICT */
export async function refuseTakenName(db: ScopedClient, name: string, exceptId?: string): Promise<void> {
  const slug = slugify(name)
  const other = await db.project.findFirst({
    where: { OR: [{ name }, ...(exceptId ? [] : [{ slug }])], ...(exceptId ? { id: { not: exceptId } } : {}) },
    select: { name: true },
  })
  if (other)
    throw new AppError('ERR_CONFLICT', `This team has a project called ${other.name} already.`, {
      nextAction: 'Choose another name, or deploy to that project.',
    })
}

function insert(db: ScopedClient, actor: Actor, input: Input, stored: StoredRepository | null, slug: string): Promise<Project> {
  const { teamId } = actor
  return db.$transaction(async (tx) => {
    const id = newId()
    const { repository: _, branch, healthCheckPath, runtimeSettings, ...settings } = input
    const running = patchRuntimeSettings(null, runtimeSettings ?? {})
    const row = await tx.project.create({
      data: {
        ...settings,
        id,
        teamId,
        slug,
        ...stored,
        branch: branch || null,
        healthCheckPath: healthCheckPath || null,
        ...(running ? { runtimeSettings: running } : {}),
        allowPrivateNetwork: actor.operator,
      },
    })
    const owner = { teamId, projectId: id }
    await tx.environment.create({ data: { id: newId(), ...owner, name: 'production', kind: 'PRODUCTION', branch: row.branch, slug } })
    // Holds what all previews inherit; nothing is deployed to it.
    await tx.environment.create({ data: { id: newId(), ...owner, name: templateName, kind: 'PREVIEW', slug: `previews-of-${id}` } })
    await writeAudit(tx, actor, { action: 'project.created', subject: id, detail: { name: row.name, slug } })
    return row
  })
}
