import type { GitCredentials } from '@/builder/builder'
import { splitAddress } from '@/builder/source/address'
import type { Env } from '@/shared/node/mask'
import type { Secrets } from '../secrets/secrets'

/** What is sealed. With the address it opens: credentials that came to another project's row open nothing there. */
interface Sealed extends GitCredentials {
  url: string
}

export interface StoredRepository {
  repository: string
  repositoryCredentials: Uint8Array<ArrayBuffer> | null
}

/** An address a person gave, as a project keeps it. @throws AppError ERR_SOURCE */
export async function storeRepository(secrets: Pick<Secrets, 'seal'>, teamId: string, text: string): Promise<StoredRepository> {
  const { url, credentials } = splitAddress(text)
  return { repository: url, repositoryCredentials: credentials && (await sealCredentials(secrets, teamId, url, credentials)) }
}

export function sealCredentials(
  secrets: Pick<Secrets, 'seal'>,
  teamId: string,
  url: string,
  { username, password }: GitCredentials,
): Promise<Uint8Array<ArrayBuffer>> {
  return secrets.seal(teamId, JSON.stringify({ url, username, password } satisfies Sealed))
}

/** What a project keeps for fetching from `url`; null: nothing, or it is for another address. */
export async function openCredentials(
  secrets: Pick<Secrets, 'open'>,
  project: { teamId: string; repositoryCredentials: Uint8Array | null },
  url: string,
): Promise<GitCredentials | null> {
  if (!project.repositoryCredentials) return null
  const sealed = JSON.parse(await secrets.open(project.teamId, project.repositoryCredentials)) as Sealed
  return sealed.url === url ? { username: sealed.username, password: sealed.password } : null
}

/** Tokens are at least this long; shorter user names are names, and words of every log. */
const tokenLength = 20

/** By the names under which a mask hides them. */
export function secretsOf({ username, password }: GitCredentials): Env {
  return {
    REPOSITORY_PASSWORD: password,
    REPOSITORY_AUTHORIZATION: Buffer.from(`${username}:${password}`).toString('base64'),
    ...(password === '' || username.length >= tokenLength ? { REPOSITORY_TOKEN: username } : {}),
  }
}
