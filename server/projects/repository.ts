import type { GitCredentials } from '@/builder/builder'
import { splitAddress } from '@/builder/source/address'
import type { Env } from '@/shared/node/mask'
import type { Secrets } from '../secrets/secrets'

/** Sealed credentials with their repository URL: copied to another project's row, they cannot be used there. */
interface Sealed extends GitCredentials {
  url: string
}

export interface StoredRepository {
  repository: string
  repositoryCredentials: Uint8Array<ArrayBuffer> | null
}

/** Splits a repository URL into the URL without credentials and the sealed credentials. @throws AppError ERR_SOURCE */
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

/** Decrypts the credentials for `url`; null: no credentials, or credentials for another URL. */
export async function openCredentials(
  secrets: Pick<Secrets, 'open'>,
  project: { teamId: string; repositoryCredentials: Uint8Array | null },
  url: string,
): Promise<GitCredentials | null> {
  if (!project.repositoryCredentials) return null
  const sealed = JSON.parse(await secrets.open(project.teamId, project.repositoryCredentials)) as Sealed
  return sealed.url === url ? { username: sealed.username, password: sealed.password } : null
}

/** Shortest user name treated as a token: masking a short user name would hide ordinary words in logs. */
const tokenLength = 20

/** The secret parts of credentials as `{NAME: value}` for a mask. */
export function secretsOf({ username, password }: GitCredentials): Env {
  return {
    REPOSITORY_PASSWORD: password,
    REPOSITORY_AUTHORIZATION: Buffer.from(`${username}:${password}`).toString('base64'),
    ...(password === '' || username.length >= tokenLength ? { REPOSITORY_TOKEN: username } : {}),
  }
}
