import type { PageText } from './page-text'

/** Problems caused by a project's rules. */
export type RuleProblem =
  | { kind: 'forbidden'; host: string }
  | { kind: 'protected'; host: string; with: 'password' | 'token' }
  | { kind: 'maintenance'; host: string; projectName: string; message: string | null }
  /** The rules cannot be applied, so the site is closed. `message`: the reason, from the route table. */
  | { kind: 'closed'; host: string; projectName: string; message: string }
  | { kind: 'rate-limited'; host: string; limit: number; windowSeconds: number; retryAfterSeconds: number }
  /** For deployments that consist of files only. */
  | { kind: 'no-file' | 'read-only'; host: string }
  | { kind: 'rule-failed'; status: 500 | 502; host: string; projectName: string; detail: string }

/** The text for a problem. */
export function describeRuleProblem(problem: RuleProblem): PageText {
  switch (problem.kind) {
    case 'forbidden':
      return {
        status: 403,
        code: 'ERR_FORBIDDEN',
        title: 'This address may not come in',
        message: 'Only certain network addresses may open this app, and yours is not among them.',
        actions: ['Come from a network that is allowed (an office, a VPN), or ask the owner of the app to add yours.'],
      }
    case 'protected':
      return {
        status: 401,
        code: 'ERR_UNAUTHENTICATED',
        title: 'This app is protected',
        message: problem.with === 'password' ? 'It asks for a name and a password.' : 'It asks for an access token.',
        actions: [
          problem.with === 'password'
            ? 'Reload the page and enter what the owner of the app gave you.'
            : 'Open the link with the token that the owner of the app gave you, or send it as "Authorization: Bearer …".',
        ],
      }
    case 'maintenance':
      return {
        status: 503,
        code: 'ERR_UNAVAILABLE',
        title: `${problem.projectName} is being worked on`,
        message: problem.message ?? `The owner of ${problem.projectName} has closed it for a short while.`,
        actions: ['Come back a little later.'],
      }
    case 'closed':
      return {
        status: 503,
        code: 'ERR_UNAVAILABLE',
        title: `${problem.projectName} is closed for now`,
        message: problem.message,
        actions: ['If this is your app: open the project in the dashboard. It says what is wrong and what to do.'],
      }
    case 'rate-limited':
      return {
        status: 429,
        code: 'ERR_RATE_LIMITED',
        title: 'Too many requests',
        message: `This app takes ${problem.limit} such requests in ${problem.windowSeconds} s from one visitor, and these were more.`,
        actions: [`Try again in ${problem.retryAfterSeconds} s.`],
      }
    case 'no-file':
      return {
        status: 404,
        code: 'ERR_NOT_FOUND',
        title: 'There is no such page',
        message: 'This site has no page at this address.',
        actions: [
          'Check the address for a typing mistake, or begin at the front page.',
          'If this is your site: a 404.html is shown instead of this.',
        ],
      }
    case 'read-only':
      return {
        status: 405,
        code: 'ERR_INVALID_INPUT',
        title: 'This site can only be read',
        message: 'It is made of files: GET and HEAD are answered, nothing can be sent to it.',
        actions: ['Send the request to an app that has a server.'],
      }
    case 'rule-failed':
      return {
        status: problem.status,
        code: problem.status === 500 ? 'ERR_INTERNAL' : 'ERR_UNAVAILABLE',
        title: `A rule of ${problem.projectName} does not work`,
        message: problem.detail,
        actions: ['If this is your app: correct its rules, in its files or in the dashboard under Rules.'],
      }
  }
}

/** Machine-readable headers of a problem (RFC 9110 §10.2.3, §11.6.1; RateLimit fields by draft-ietf-httpapi-ratelimit-headers-07). */
export function ruleProblemHeaders(problem: RuleProblem): [string, string][] {
  if (problem.kind === 'protected') return [['WWW-Authenticate', problem.with === 'password' ? 'Basic realm="protected", charset="UTF-8"' : 'Bearer']]
  if (problem.kind === 'maintenance' || problem.kind === 'closed') return [['Retry-After', '300']]
  if (problem.kind === 'read-only') return [['Allow', 'GET, HEAD']]
  if (problem.kind !== 'rate-limited') return []
  return [
    ['Retry-After', String(problem.retryAfterSeconds)],
    ['RateLimit-Limit', String(problem.limit)],
    ['RateLimit-Remaining', '0'],
    ['RateLimit-Reset', String(problem.retryAfterSeconds)],
  ]
}

const kinds: ReadonlySet<string> = new Set<RuleProblem['kind']>([
  'forbidden',
  'protected',
  'maintenance',
  'closed',
  'rate-limited',
  'no-file',
  'read-only',
  'rule-failed',
])
/** Whether a problem comes from rules. */
export const isRuleProblem = (problem: { kind: string }): problem is RuleProblem => kinds.has(problem.kind)
