import { STATUS_CODES } from 'node:http'
import { renderHtml } from './html'
import type { PageText } from './page-text'
import { describeRuleProblem, isRuleProblem, type RuleProblem, ruleProblemHeaders } from './rule-pages'

/** Every problem that the router shows to visitors. */
export type Problem =
  | { kind: 'bad-request'; status: number; detail: string }
  | { kind: 'unknown-host'; host: string }
  | { kind: 'not-deployed' | 'stopped' | 'failed' | 'no-target' | 'overloaded' | 'asleep'; host: string; projectName: string }
  | { kind: 'refused' | 'reset' | 'bad-answer'; host: string; projectName: string }
  | { kind: 'connect-timeout' | 'answer-timeout'; host: string; projectName: string; timeoutMs: number }
  | RuleProblem

export interface PageContext {
  requestId: string
  /** The client's Accept header: text/html gets a page, anything else JSON. */
  accept: string | undefined
  /** Empty before the first table. */
  dashboardUrl: string
}

export interface Page {
  status: number
  reason: string
  /** Without Connection and Date, which the writer adds. */
  headers: [string, string][]
  body: Buffer
}

const seconds = (ms: number) => (ms >= 1000 ? `${Math.round(ms / 1000)} s` : `${ms} ms`)
const readLogs = 'If this is your app: open its logs in the dashboard and look at the last lines before this moment.'

/** The text for a problem. */
export function describeProblem(problem: Problem): PageText {
  if (isRuleProblem(problem)) return describeRuleProblem(problem)
  switch (problem.kind) {
    case 'bad-request':
      return {
        status: problem.status,
        code: [413, 414, 431].includes(problem.status) ? 'ERR_TOO_LARGE' : 'ERR_INVALID_INPUT',
        title: 'This request cannot be served',
        message: problem.detail,
        actions: ['Correct the request: it was refused before it reached an app.'],
      }
    case 'unknown-host':
      return {
        status: 404,
        code: 'ERR_NOT_FOUND',
        title: 'No app lives at this address',
        message: `Nothing is served at ${problem.host}. The name reaches this server, but no project here uses it.`,
        actions: [
          'Check the address for a typing mistake.',
          'If it should be yours: open the project in the dashboard, choose Domains, and add this name.',
        ],
      }
    default:
      return describeAppProblem(problem)
  }
}

function describeAppProblem(problem: Exclude<Problem, RuleProblem | { kind: 'bad-request' | 'unknown-host' }>): PageText {
  const name = problem.projectName
  const down = { code: 'ERR_UNAVAILABLE' as const, status: 503 }
  switch (problem.kind) {
    case 'not-deployed':
      return {
        ...down,
        title: `${name} is not deployed yet`,
        message: `The project ${name} exists, but no deployment of it is live.`,
        actions: ['Start its first deployment from the dashboard, or run: switchyard deploy'],
      }
    case 'stopped':
      return {
        ...down,
        title: `This deployment of ${name} is not live`,
        message: `This is the address of a single deployment, which answers only while that deployment is live. Another deployment took its place, or it never went live.`,
        actions: [
          `Visit ${name} at its own address: it shows what is live now.`,
          'If this is your app: open this deployment in the dashboard and choose Redeploy to bring it back.',
        ],
      }
    case 'failed':
      return {
        ...down,
        title: `${name} failed to start`,
        message: `The deployment of ${name} at this address failed and is not running.`,
        actions: ['Open the deployment in the dashboard: it names the step that failed and why.', 'Correct it and deploy again.'],
      }
    case 'no-target':
      return {
        ...down,
        title: `${name} has no running instance`,
        message: `${name} is deployed, but none of its instances is ready at this moment. It is started again by itself.`,
        actions: ['Try again in a few seconds.', readLogs],
      }
    case 'overloaded':
      return {
        ...down,
        title: `${name} is busy`,
        message: `Every instance of ${name} is serving as many requests as it may, and this one waited too long for its turn.`,
        actions: ['Try again in a few seconds.', 'If this is your app: raise its limit of requests per instance among its rules.'],
      }
    case 'asleep':
      return {
        ...down,
        title: `${name} is asleep`,
        message: `${name} was put to sleep while nobody used it, and it could not be woken in time.`,
        actions: ['Try again in a few seconds.', readLogs],
      }
    case 'refused':
      return {
        code: 'ERR_UNAVAILABLE',
        status: 502,
        title: `${name} is not answering`,
        message: `The instance of ${name} refused the connection: its server is not running or does not listen on the port it was given.`,
        actions: ['Try again in a few seconds.', `${readLogs} A server must listen on $PORT, on 0.0.0.0.`],
      }
    case 'reset':
      return {
        code: 'ERR_UNAVAILABLE',
        status: 502,
        title: `${name} broke the connection`,
        message: `${name} took the request and closed the connection before its answer was complete. It may have crashed.`,
        actions: ['Try again.', readLogs],
      }
    case 'bad-answer':
      return {
        code: 'ERR_UNAVAILABLE',
        status: 502,
        title: `${name} gave an answer that is not HTTP`,
        message: `What ${name} sent back cannot be read as an HTTP answer, so it was not passed on.`,
        actions: ['If this is your app: check that its port speaks plain HTTP/1.1, not TLS or another protocol.', readLogs],
      }
    case 'connect-timeout':
      return {
        code: 'ERR_DEADLINE',
        status: 504,
        title: `${name} cannot be reached`,
        message: `No connection to the instance of ${name} within ${seconds(problem.timeoutMs)}.`,
        actions: ['Try again in a few seconds.', readLogs],
      }
    case 'answer-timeout':
      return {
        code: 'ERR_DEADLINE',
        status: 504,
        title: `${name} took too long`,
        message: `${name} took the request but sent nothing for ${seconds(problem.timeoutMs)}, so it was given up.`,
        actions: [
          'Try again.',
          `${readLogs} Long work belongs in the background, or should stream its answer; "answerTimeoutMs" among the project's rules allows more silence.`,
        ],
      }
  }
}

/** The finished answer for a problem: HTML for clients that accept it, else JSON. */
export function renderProblem(problem: Problem, context: PageContext): Page {
  const text = describeProblem(problem)
  const html = wantsHtml(context.accept)
  const host = 'host' in problem ? problem.host : null
  const body = Buffer.from(
    html
      ? renderHtml(text, { host, requestId: context.requestId, dashboardUrl: safeUrl(context.dashboardUrl) })
      : renderJson(text, context.requestId),
  )
  const headers: [string, string][] = [
    ['Content-Type', html ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', 'no-store'],
    ['Vary', 'Accept'],
    ['X-Content-Type-Options', 'nosniff'],
    ['X-Request-Id', context.requestId],
  ]
  if (html)
    headers.push([
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ])
  if (isRuleProblem(problem)) headers.push(...ruleProblemHeaders(problem))
  else if (text.status === 503) headers.push(['Retry-After', '5'])
  if (text.status === 405 && !isRuleProblem(problem)) headers.push(['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'])
  return { status: text.status, reason: STATUS_CODES[text.status] ?? 'Error', headers, body }
}

function renderJson(text: PageText, requestId: string): string {
  return `${JSON.stringify({ error: { code: text.code, message: text.message, nextAction: text.actions.join(' '), requestId } })}\n`
}

/** Whether Accept contains `text/html` with a weight above 0; wildcards do not count, because tools send them. */
export function wantsHtml(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return (type === 'text/html' || type === 'application/xhtml+xml') && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

// Defense in depth, although tables are trusted: only http(s) URLs may become an href.
function safeUrl(url: string): string | null {
  return /^https?:\/\/[^\s]+$/i.test(url) ? url : null
}

/** A page as a complete HTTP/1.1 message that closes the connection: for sockets that a parser no longer owns. */
export function encodePage(page: Page, withBody = true): Buffer {
  const lines = [
    `HTTP/1.1 ${page.status} ${page.reason}`,
    ...page.headers.map(([name, value]) => `${name}: ${value}`),
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
  ]
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return withBody ? Buffer.concat([head, page.body]) : head
}
