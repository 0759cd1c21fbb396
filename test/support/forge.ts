import type { ForgeProvider } from '@/shared/forges'
import { type Answer, startApi } from './json-api'

/** What a stand-in of a Git host has been told. */
export interface TestForge {
  apiUrl: string
  /** Newest last, as `state` of the host's own words. */
  statuses: { sha: string; context: string; state: string; url: string }[]
  comments: { id: number; body: string }[]
  deployments: { id: number; sha: string; environment: string; payload: unknown; states: string[] }[]
  /** Method and path of each request. */
  requests: string[]
  /** Answers instead of the next requests for which it returns something. */
  intercept: ((request: { method: string; path: string }) => Answer | null) | null
  close(): Promise<void>
}

interface Call {
  method: string
  path: string
  query: URLSearchParams
  body: Record<string, never> & Record<string, unknown>
}
type Route = (forge: TestForge, call: Call) => Answer | null

export const testForgeToken = 'forge-token-of-this-test'
export const testRepository = 'acme/shop'
const sha = '[0-9a-f]{40}'

/**
 * A stateful stand-in that answers with the shapes of the provider's documentation (docs.github.com/rest, docs.gitlab.com/api,
 * developer.atlassian.com/cloud/bitbucket/rest, the swagger file of Gitea) and refuses what the provider refuses.
 */
export async function startTestForge(provider: ForgeProvider): Promise<TestForge> {
  const forge: TestForge = {
    apiUrl: '',
    statuses: [],
    comments: [],
    deployments: [],
    requests: [],
    intercept: null,
    close: async () => {},
  }
  const api = await startApi(({ method, url, headers, body }) => {
    const path = url.pathname
    forge.requests.push(`${method} ${path}`)
    const other = forge.intercept?.({ method, path })
    if (other) return other
    if (!isAuthorized[provider](headers)) return { status: 401, body: { message: 'Bad credentials' } }
    const call = { method, path, query: url.searchParams, body: body ? JSON.parse(body) : {} }
    return routes[provider](forge, call) ?? { status: 404, body: { message: 'Not Found' } }
  })
  return Object.assign(forge, { apiUrl: api.url, close: api.close })
}

type Headers = Record<string, string | string[] | undefined>
const isAuthorized: Record<ForgeProvider, (headers: Headers) => boolean> = {
  github: ({ authorization }) => authorization === `Bearer ${testForgeToken}`,
  gitlab: (headers) => headers['private-token'] === testForgeToken,
  bitbucket: ({ authorization }) => authorization === `Bearer ${testForgeToken}`,
  gitea: ({ authorization }) => authorization === `token ${testForgeToken}`,
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const match = (call: Call, method: string, pattern: string): RegExpExecArray | null =>
  call.method === method ? new RegExp(`^${pattern}$`).exec(call.path) : null

function page<T>(rows: T[], call: Call, sizeName: string): T[] {
  const size = Number(call.query.get(sizeName) ?? 20)
  const number = Number(call.query.get('page') ?? 1)
  return rows.slice((number - 1) * size, number * size)
}

function addComment(forge: TestForge, body: string) {
  const comment = { id: 1000 + forge.comments.length, body }
  forge.comments.push(comment)
  return comment
}

function editComment(forge: TestForge, id: string | undefined, body: string): { id: number; body: string } | null {
  const comment = forge.comments.find((one) => String(one.id) === id)
  return comment ? Object.assign(comment, { body }) : null
}

const invalid = (message: string): Answer => ({ status: 422, body: { message } })

/** GitHub and Gitea share these paths. */
function githubLike(forge: TestForge, call: Call, pages: boolean): Answer | null {
  const base = `/repos/${testRepository}`
  const status = match(call, 'POST', `${base}/statuses/(${sha})`)
  if (status) {
    const { state, context, description, target_url } = call.body
    if (!['pending', 'success', 'error', 'failure'].includes(text(state))) return invalid('Validation Failed')
    if (text(description).length > 140) return invalid('description is too long (maximum is 140 characters)')
    forge.statuses.push({ sha: status[1] ?? '', context: text(context), state: text(state), url: text(target_url) })
    return { status: 201, body: { id: forge.statuses.length, state, context, description, target_url } }
  }
  if (match(call, 'GET', `${base}/issues/7/comments`)) return { status: 200, body: pages ? page(forge.comments, call, 'per_page') : forge.comments }
  if (match(call, 'POST', `${base}/issues/7/comments`)) return { status: 201, body: addComment(forge, text(call.body.body)) }
  const edited = match(call, 'PATCH', `${base}/issues/comments/(\\d+)`)
  if (edited) {
    const comment = editComment(forge, edited[1], text(call.body.body))
    return comment && { status: 200, body: comment }
  }
  return null
}

function githubDeployments(forge: TestForge, call: Call): Answer | null {
  const base = `/repos/${testRepository}/deployments`
  if (match(call, 'GET', base)) {
    const rows = forge.deployments.filter((one) => one.sha === call.query.get('sha') && one.environment === call.query.get('environment'))
    return { status: 200, body: page(rows, call, 'per_page') }
  }
  if (match(call, 'POST', base)) {
    // Without this, GitHub answers 409 while checks of the commit are missing, and merges the default branch into it.
    if (!Array.isArray(call.body.required_contexts) || call.body.auto_merge !== false) return { status: 409, body: { message: 'Conflict' } }
    const row = { id: 500 + forge.deployments.length, sha: text(call.body.ref), environment: text(call.body.environment), payload: call.body.payload }
    forge.deployments.push({ ...row, states: [] })
    return { status: 201, body: row }
  }
  const status = match(call, 'POST', `${base}/(\\d+)/statuses`)
  if (!status) return null
  const found = forge.deployments.find(({ id }) => String(id) === status[1])
  if (!['error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success'].includes(text(call.body.state)))
    return invalid('Validation Failed')
  found?.states.push(text(call.body.state))
  return found ? { status: 201, body: { id: 1, state: call.body.state } } : null
}

function gitlab(forge: TestForge, call: Call): Answer | null {
  const base = `/projects/${encodeURIComponent(testRepository)}`
  const status = match(call, 'POST', `${base}/statuses/(${sha})`)
  if (status) {
    const { state, name, target_url } = call.body
    const before = forge.statuses.findLast((one) => one.sha === status[1] && one.context === name)
    // GitLab refuses the state that a status has already.
    if (before?.state === state)
      return { status: 400, body: { message: `Cannot transition status via :run from :${state} (Reason(s): Status cannot transition via "run")` } }
    forge.statuses.push({ sha: status[1] ?? '', context: text(name), state: text(state), url: text(target_url) })
    return { status: 201, body: { id: forge.statuses.length, status: state, name, target_url } }
  }
  if (match(call, 'GET', `${base}/merge_requests/7/notes`)) return { status: 200, body: page(forge.comments, call, 'per_page') }
  if (match(call, 'POST', `${base}/merge_requests/7/notes`)) return { status: 201, body: addComment(forge, text(call.body.body)) }
  const edited = match(call, 'PUT', `${base}/merge_requests/7/notes/(\\d+)`)
  if (edited) {
    const note = editComment(forge, edited[1], text(call.body.body))
    return note && { status: 200, body: note }
  }
  if (match(call, 'GET', `${base}/deployments`)) {
    const rows = forge.deployments.filter(({ environment }) => environment === call.query.get('environment')).toReversed()
    return {
      status: 200,
      body: page(rows, call, 'per_page').map((one) => ({ ...one, status: one.states.at(-1), created_at: new Date().toISOString() })),
    }
  }
  if (match(call, 'POST', `${base}/deployments`)) {
    const { environment, sha: commit, ref, tag, status: state } = call.body
    if (ref === undefined || tag === undefined) return { status: 400, body: { error: 'ref is missing, tag is missing' } }
    const row = { id: 500 + forge.deployments.length, sha: text(commit), environment: text(environment), payload: null, states: [text(state)] }
    forge.deployments.push(row)
    return { status: 201, body: { ...row, status: state } }
  }
  const changed = match(call, 'PUT', `${base}/deployments/(\\d+)`)
  const found = changed && forge.deployments.find(({ id }) => String(id) === changed[1])
  if (!found) return null
  if (found.states.at(-1) === call.body.status) return { status: 400, body: { message: { status: ['Cannot transition status'] } } }
  found.states.push(text(call.body.status))
  return { status: 200, body: { ...found, status: call.body.status } }
}

function bitbucket(forge: TestForge, call: Call): Answer | null {
  const base = `/repositories/${testRepository}`
  const status = match(call, 'POST', `${base}/commit/(${sha})/statuses/build`)
  if (status) {
    const { key, state, url } = call.body
    if (text(key).length > 40 || text(key) === '' || text(url) === '')
      return { status: 400, body: { type: 'error', error: { message: 'Bad request' } } }
    const row = { sha: status[1] ?? '', context: text(key), state: text(state), url: text(url) }
    const before = forge.statuses.findIndex((one) => one.sha === row.sha && one.context === row.context)
    forge.statuses.splice(before === -1 ? forge.statuses.length : before, before === -1 ? 0 : 1, row)
    return { status: before === -1 ? 201 : 200, body: { key, state, url } }
  }
  const raw = text((call.body.content as { raw?: unknown } | undefined)?.raw)
  const shown = ({ id, body }: { id: number; body: string }) => ({ id, deleted: false, content: { raw: body } })
  if (match(call, 'GET', `${base}/pullrequests/7/comments`))
    return { status: 200, body: { pagelen: 100, page: 1, values: page(forge.comments, call, 'pagelen').map(shown) } }
  if (match(call, 'POST', `${base}/pullrequests/7/comments`)) return { status: 201, body: shown(addComment(forge, raw)) }
  const edited = match(call, 'PUT', `${base}/pullrequests/7/comments/(\\d+)`)
  const comment = edited && editComment(forge, edited[1], raw)
  return comment ? { status: 200, body: shown(comment) } : null
}

const routes: Record<ForgeProvider, Route> = {
  github: (forge, call) => githubLike(forge, call, true) ?? githubDeployments(forge, call),
  gitlab,
  bitbucket,
  gitea: (forge, call) => githubLike(forge, call, false),
}
