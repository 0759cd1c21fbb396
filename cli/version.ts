import { version } from '@/package.json'
import { versionHeader } from '@/shared/naming'

/** Version of this command. The platform serves the command at `/cli.tgz`, so the versions differ only after an update of the platform. */
export const cliVersion: string = version

let seen: { api: string; version: string } | null = null

/** Stores the version of the server from a response. */
export function noteServerVersion(api: string, headers: Headers): void {
  const value = headers.get(versionHeader)
  if (value && /^[\w.+-]{1,40}$/.test(value)) seen = { api, version: value }
}

/** How to install the command in the version of the server; null if the versions match. */
export function updateHint(): string | null {
  if (!seen || seen.version === cliVersion) return null
  return `This command is ${cliVersion}, the server ${seen.version}. Get the server's own: npm install -g ${seen.api}/cli.tgz`
}
