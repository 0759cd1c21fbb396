import type { HostTable, LiveRoute } from '../match/host-table'
import { type Problem, renderProblem } from '../pages/pages'
import type { Admission, Gate, LocalAnswer, RequestFacts } from './gate'

/** Lets everything through: an engine under test, and what is left when no route asks for anything. */
export class OpenGate implements Gate {
  #table: HostTable

  constructor(table: HostTable) {
    this.#table = table
  }

  apply(table: HostTable): void {
    this.#table = table
  }

  admit(route: LiveRoute): Admission {
    return {
      kind: 'forward',
      route,
      outside: null,
      target: null,
      requestHeaders: null,
      responseHeaders: null,
      filter: null,
      maxBodyBytes: null,
    }
  }

  admitUnknown(facts: RequestFacts): Admission {
    return { kind: 'problem', problem: { kind: 'unknown-host', host: facts.host } }
  }

  problem(problem: Problem, _route: LiveRoute | null, facts: RequestFacts): LocalAnswer {
    return problemAnswer(problem, facts.requestId, facts.header('accept'), this.#table.dashboardUrl)
  }
}

/** A page of ours as an answer. */
export function problemAnswer(problem: Problem, requestId: string, accept: string | undefined, dashboardUrl: string): LocalAnswer {
  const page = renderProblem(problem, { requestId, accept, dashboardUrl })
  const { status, reason, body } = page
  const headers = page.headers.filter(([name]) => name !== 'X-Request-Id')
  return { status, reason, headers, body, cache: 'none', why: problem.kind, close: problem.kind === 'bad-request' }
}
