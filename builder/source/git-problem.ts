import type { AppError } from '@/shared/errors'
import type { RepositoryAddress } from './address'
import { showName, sourceError } from './problem'

/** Removes credentials from git's output; some servers repeat what they received. */
export function scrub(text: string, address: RepositoryAddress): string {
  let clean = text.replace(/(\w+:\/\/)[^\s/]*@/g, '$1')
  const { credentials } = address
  if (credentials) {
    const basic = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')
    for (const secret of [basic, credentials.password, encodeURIComponent(credentials.password)])
      if (secret.length > 0) clean = clean.replaceAll(secret, '***')
    // In a URL, a token without a password is the user name, but it is a secret too.
    if (credentials.username.length >= 8) clean = clean.replaceAll(credentials.username, '***')
  }
  return clean
}

/** The line of git's output with the reason. */
function lastReason(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
  const line = lines.findLast((text) => text.startsWith('fatal:') || text.startsWith('error:')) ?? lines.at(-1) ?? 'no reason given'
  return showName(line.replace(/^(fatal|error):\s*/, ''))
}

export const isRedirect = (stderr: string) => /returned error: 30[12378]|unable to update url base from redirection/.test(stderr)
/** Matches errors of servers that require fetches by name, or do not support shallow fetches. */
export const needsDeepFetch = (stderr: string) => /unadvertised object|dumb http transport|does not support shallow/i.test(stderr)
export const isMissingObject = (stderr: string) => /not our ref|couldn't find remote ref/i.test(stderr)

const credentialsHint: Record<RepositoryAddress['scheme'], string> = {
  https: 'Check the address. For a private repository put an access token into it: https://<user>:<token>@host/path.git.',
  http: 'Check the address. For a private repository put an access token into it: http://<user>:<token>@host/path.git.',
  ssh: 'Check the address, and add a deploy key of this installation to the repository; a public repository needs none over https.',
  git: 'Check the address.',
}

const classes: { pattern: RegExp; message: (host: string) => string; nextAction: (address: RepositoryAddress) => string }[] = [
  {
    pattern:
      /Authentication failed|could not read (Username|Password)|terminal prompts disabled|returned error: 40[13]|Access denied|Permission denied|Invalid username or/i,
    message: (host) => `The repository at ${host} was not found, or it is private and needs credentials`,
    nextAction: (address) => credentialsHint[address.scheme],
  },
  {
    pattern: /returned error: 404|repository .*not found|not found|does not appear to be a git repository|access denied or repository not exported/i,
    message: (host) => `The repository was not found at ${host}`,
    nextAction: (address) => credentialsHint[address.scheme],
  },
  {
    pattern: /returned error: 30\d|unable to update url base from redirection/,
    message: (host) => `The repository has moved: ${host} answers with a redirect, which is not followed`,
    nextAction: () => 'Open the repository in a browser and use the address it has now.',
  },
  {
    pattern: /Could not resolve host|Name or service not known/i,
    message: (host) => `The host ${host} was not found`,
    nextAction: () => 'Check the spelling of the repository address.',
  },
  {
    pattern: /certificate|SSL|TLS/i,
    message: (host) => `The certificate of ${host} could not be verified`,
    nextAction: () => 'Renew the certificate of the Git host, or install its authority on this machine.',
  },
  {
    pattern: /Host key verification failed|REMOTE HOST IDENTIFICATION/i,
    message: (host) => `The SSH host key of ${host} is not the one seen before`,
    nextAction: () => 'Make sure nobody is in between; then ask the operator to forget the old key.',
  },
  {
    pattern: /Operation too slow|Connection timed out|Timeout was reached/i,
    message: (host) => `${host} was too slow to answer`,
    nextAction: () => 'Try again; when it happens again, check that the Git host is well.',
  },
  {
    pattern:
      /Failed to connect|Connection refused|Connection reset|No route to host|Network is unreachable|returned error: 5\d\d|hung up unexpectedly|early EOF|RPC failed|Could not read from remote/i,
    message: (host) => `${host} could not be reached, or broke off the transfer`,
    nextAction: () => 'Try again; when it happens again, check that the Git host is well.',
  },
  {
    pattern: /No space left on device|Disk quota exceeded/i,
    message: () => 'The disk of this machine is full',
    nextAction: () => 'Free space on the machine, then deploy again.',
  },
]

/** Explains git's output to users, without credentials. */
export function explainGit(stderr: string, address: RepositoryAddress): AppError {
  const clean = scrub(stderr, address)
  const reason = lastReason(clean)
  const found = classes.find((entry) => entry.pattern.test(clean))
  const cause = new Error(clean.slice(0, 4000))
  if (!found) return sourceError(`Git could not fetch the repository: ${reason}`, 'Check the address of the repository and try again.', cause)
  return sourceError(`${found.message(address.host)} (git: ${reason})`, found.nextAction(address), cause)
}
