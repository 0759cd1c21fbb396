import { type Problem, renderProblem } from '../pages/pages'
import type { LocalAnswer } from './gate'

/** The answer that shows the router's page for a problem. */
export function problemAnswer(problem: Problem, requestId: string, accept: string | undefined, dashboardUrl: string): LocalAnswer {
  const page = renderProblem(problem, { requestId, accept, dashboardUrl })
  const { status, reason, body } = page
  const headers = page.headers.filter(([name]) => name !== 'X-Request-Id')
  return { status, reason, headers, body, cache: 'none', why: problem.kind, close: problem.kind === 'bad-request' }
}
