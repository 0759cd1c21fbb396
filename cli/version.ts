import { version } from '@/package.json'
import { versionHeader } from '@/shared/naming'

/** Of this command: the platform serves it at `/cli.tgz`, so the two are of one version until the platform is updated. */
export const cliVersion: string = version

let seen: { api: string; version: string } | null = null

/** Remembers which version the server that answered is of. */
export function noteServerVersion(api: string, headers: Headers): void {
  const value = headers.get(versionHeader)
  if (value && /^[\w.+-]{1,40}$/.test(value)) seen = { api, version: value }
}

/** How to get the server's own command when it is of another version; null when nothing is to be done. */
export function updateHint(): string | null {
  if (!seen || seen.version === cliVersion) return null
  return `This command is ${cliVersion}, the server ${seen.version}. Get the server's own: npm install -g ${seen.api}/cli.tgz`
}
