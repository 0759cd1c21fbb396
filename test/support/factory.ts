import { openDatabase } from '@/server/database/client'
import type { Deployment } from '@/server/database/generated/client'
import { newId } from '@/shared/node/ids'
import { defaultHealthCheck, defaultInstanceLimits } from '@/shared/release'
import type { InstanceState } from '@/shared/states'
import { createTestDatabase } from './database'

type Prisma = ReturnType<typeof openDatabase>['prisma']

/** A database of its own, opened as the platform opens it. */
export async function openTestDatabase() {
  const test = await createTestDatabase()
  const database = openDatabase(test.url, { poolSize: 10 })
  return {
    ...database,
    url: test.url,
    async close() {
      await database.close()
      await test.drop()
    },
  }
}

/** A team with a project and its production environment. */
export async function createProject(prisma: Prisma, overrides: { slug?: string; teamId?: string } = {}) {
  const slug = overrides.slug ?? `app-${newId()}`
  const teamId = overrides.teamId ?? newId()
  if (!overrides.teamId) await prisma.team.create({ data: { id: teamId, name: 'Team', slug: `team-${newId()}`, dataKey: new Uint8Array(32) } })
  const project = await prisma.project.create({ data: { id: newId(), teamId, name: slug, slug } })
  const environment = await prisma.environment.create({
    data: { id: newId(), teamId, projectId: project.id, name: 'production', kind: 'PRODUCTION', slug },
  })
  return { teamId, project, environment }
}

export async function createDeploymentRow(
  prisma: Prisma,
  owner: { teamId: string; project: { id: string }; environment: { id: string } },
  data: Partial<Pick<Deployment, 'status' | 'branch' | 'commitSha' | 'triggeredBy' | 'startedAt' | 'liveAt' | 'kind'>> = {},
) {
  return prisma.deployment.create({
    data: {
      id: newId(),
      teamId: owner.teamId,
      projectId: owner.project.id,
      environmentId: owner.environment.id,
      triggeredBy: 'API',
      source: { kind: 'archive', digest: `sha256:${'0'.repeat(64)}` },
      ...data,
    },
  })
}

const frozen = { health: { ...defaultHealthCheck }, limits: { ...defaultInstanceLimits }, instances: 1 }

/** A release of a deployment with one instance that listens. */
export async function createReleaseWithInstance(
  prisma: Prisma,
  owner: { teamId: string; project: { id: string }; environment: { id: string } },
  deploymentId: string,
  instance: { state: InstanceState; port: number; slot?: 'blue' | 'green' },
) {
  const ids = { teamId: owner.teamId, projectId: owner.project.id, environmentId: owner.environment.id }
  const artifact = await prisma.artifact.create({
    data: {
      id: newId(),
      teamId: ids.teamId,
      projectId: ids.projectId,
      kind: 'image',
      digest: `sha256:${newId()}`,
      buildKey: newId(),
      sizeBytes: 1,
      framework: 'node',
      metadata: {},
    },
  })
  const release = await prisma.release.create({
    data: { id: newId(), ...ids, deploymentId, artifactId: artifact.id, config: frozen, variables: new Uint8Array() },
  })
  await prisma.deployment.update({ where: { id: deploymentId }, data: { releaseId: release.id } })
  const row = await prisma.instance.create({
    data: {
      id: newId(),
      ...ids,
      deploymentId,
      releaseId: release.id,
      runtime: 'docker',
      slot: instance.slot ?? 'blue',
      state: instance.state,
      host: '10.0.0.1',
      port: instance.port,
    },
  })
  return { release, instance: row, artifact }
}
