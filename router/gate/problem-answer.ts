import { type Problem, renderProblem } from '../pages/pages'
import type { LocalAnswer } from './gate'

/** A page of ours as an answer. */
export function problemAnswer(problem: Problem, requestId: string, accept: string | undefined, dashboardUrl: string): LocalAnswer {
  const page = renderProblem(problem, { requestId, accept, dashboardUrl })
  const { status, reason, body } = page
  const headers = page.headers.filter(([name]) => name !== 'X-Request-Id')
  return { status, reason, headers, body, cache: 'none', why: problem.kind, close: problem.kind === 'bad-request' }
}
