import { splitAddress } from '@/builder/source/address'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Secrets } from '../secrets/secrets'
import { type StoredRepository, storeRepository } from './repository'

/** Postgres regular expression for repository URLs with a password, or with a query string that may contain a token. */
const withSecret = '^(https?|git)://[^/]*@|^ssh://[^/@]*:[^/]*@|://.*[?#]'

/**
 * Seals credentials that older versions stored in repository URLs as plain text; an SQL migration has no key. Runs at every start, because a
 * restored backup may contain such rows; without them it costs two queries. Returns the number of changed rows.
 */
export async function sealRepositories({ prisma, secrets }: { prisma: PrismaClient; secrets: Secrets }): Promise<number> {
  const projects = await prisma.$queryRaw<{ id: string; teamId: string; repository: string }[]>`
    SELECT "id", "teamId", "repository" FROM "Project" WHERE "repository" ~* ${withSecret}`
  for (const { id, teamId, repository } of projects)
    await prisma.project.updateMany({ where: { id, repository }, data: await cleaned(secrets, teamId, repository) })
  const deployments = await prisma.$queryRaw<{ id: string; url: string }[]>`
    SELECT "id", "source"->>'url' AS "url" FROM "Deployment" WHERE "source"->>'url' ~* ${withSecret}`
  for (const { id, url } of deployments)
    await prisma.$executeRaw`
      UPDATE "Deployment" SET "source" = jsonb_set("source", '{url}', to_jsonb(${cleanUrl(url)}::text)) WHERE "id" = ${id}`
  return projects.length + deployments.length
}

async function cleaned(secrets: Secrets, teamId: string, repository: string): Promise<StoredRepository> {
  const text = withoutQuery(repository)
  try {
    return await storeRepository(secrets, teamId, text)
  } catch {
    // Nothing was ever fetched from it; its secret is not kept.
    return { repository: withoutUser(text), repositoryCredentials: null }
  }
}

function cleanUrl(url: string): string {
  const text = withoutQuery(url)
  try {
    return splitAddress(text).url
  } catch {
    return withoutUser(text)
  }
}

const withoutQuery = (url: string): string => url.replace(/[?#].*$/s, '')
const withoutUser = (url: string): string => url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1')
