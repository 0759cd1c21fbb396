import { expect, test } from 'vitest'
import { type Problem, renderProblem, wantsHtml } from './pages'

const evil = `<script>alert("1")</script>'&\``
const app = { host: evil, projectName: evil }
const problems: Problem[] = [
  { kind: 'bad-request', status: 400, detail: evil },
  { kind: 'unknown-host', host: evil },
  ...(['not-deployed', 'stopped', 'failed', 'no-target', 'overloaded', 'asleep', 'refused', 'reset', 'bad-answer'] as const).map((kind) => ({
    kind,
    ...app,
  })),
  { kind: 'connect-timeout', ...app, timeoutMs: 5000 },
  { kind: 'answer-timeout', ...app, timeoutMs: 300 },
  { kind: 'forbidden', host: evil },
  { kind: 'protected', host: evil, with: 'password' },
  { kind: 'protected', host: evil, with: 'token' },
  { kind: 'maintenance', ...app, message: null },
  { kind: 'maintenance', ...app, message: evil },
  { kind: 'rate-limited', host: evil, limit: 10, windowSeconds: 60, retryAfterSeconds: 6 },
  { kind: 'no-file', host: evil },
  { kind: 'read-only', host: evil },
  { kind: 'rule-failed', ...app, status: 502, detail: evil },
]

test.each(problems)('the page for $kind escapes everything and needs nothing from outside', (problem) => {
  const page = renderProblem(problem, { requestId: evil, accept: 'text/html', dashboardUrl: `http://x/"${evil}` })
  const html = page.body.toString()
  expect(html).not.toMatch(/<script|alert\("1"\)/)
  expect(html).not.toMatch(/src=|url\(|@import|<link/)
  expect(html).toContain(`>${page.status}<`)
  expect(Object.fromEntries(page.headers)['Content-Length']).toBe(String(page.body.length))
})

test.each(problems)('the JSON for $kind says what happened and what to do', (problem) => {
  const page = renderProblem(problem, { requestId: 'id', accept: '*/*', dashboardUrl: '' })
  const { error } = JSON.parse(page.body.toString())
  expect(error).toMatchObject({
    requestId: 'id',
    code: expect.stringMatching(/^ERR_/),
    message: expect.any(String),
    nextAction: expect.stringMatching(/\w/),
  })
})

test('the address of a deployment that is not live says so, leads to what is live, and names no act that does not exist', () => {
  const page = renderProblem({ kind: 'stopped', host: 'shop-1.test', projectName: 'shop' }, { requestId: 'id', accept: '*/*', dashboardUrl: '' })
  const text = page.body.toString()
  expect(text).toMatch(/This deployment of shop is not live|only while that deployment is live/)
  expect(text).toMatch(/Visit shop at its own address/)
  expect(text).not.toMatch(/shop is stopped|[Rr]estart|[Pp]romote/)
})

test('only a link to http or https is made', () => {
  const html = (dashboardUrl: string) =>
    renderProblem({ kind: 'unknown-host', host: 'a' }, { requestId: 'id', accept: 'text/html', dashboardUrl }).body.toString()
  expect(html('https://dash.test')).toContain('href="https://dash.test"')
  expect(html('javascript:alert(1)')).not.toContain('href')
  expect(html('')).not.toContain('href')
})

test.each([
  ['text/html,application/xhtml+xml,*/*;q=0.8', true],
  ['TEXT/HTML', true],
  ['*/*', false],
  ['application/json', false],
  ['text/html;q=0, application/json', false],
  [undefined, false],
])('Accept %s: HTML is %s', (accept, html) => {
  expect(wantsHtml(accept)).toBe(html)
})
