import { z } from 'zod'
import { AppError } from '@/shared/errors'
import { networkCode } from './client'
import type { CliEnv } from './env'
import { UsageError } from './failure'

/** Comments of one pull or merge request by the API of its Git host. */
interface Comments {
  list(page: number): Promise<{ id: number; text: string; isOurs: boolean }[]>
  create(text: string): Promise<unknown>
  update(id: number, text: string): Promise<unknown>
}

const deadlineMs = 15_000
const pageSize = 100
const maxPages = 20

/**
 * Keeps one comment on the pull request: the first that starts with `title` is changed, else a new one is written.
 * @throws UsageError outside of CI or without a token, AppError when the Git host refuses
 */
export async function keepComment(env: CliEnv, pullRequest: number, title: string, body: string): Promise<void> {
  const comments = commentsOf(env.provider, pullRequest)
  const text = `${title}\n\n${body}`
  const before = await findComment(comments, title)
  await (before === null ? comments.create(text) : comments.update(before, text))
}

async function findComment(comments: Comments, title: string): Promise<number | null> {
  for (let page = 1; page <= maxPages; page++) {
    const found = await comments.list(page)
    const ours = found.find(({ text, isOurs }) => isOurs && text.startsWith(title))
    if (ours) return ours.id
    if (found.length < pageSize) return null
  }
  return null
}

function commentsOf(provider: Record<string, string>, pullRequest: number): Comments {
  if (provider.GITHUB_ACTIONS) return onGithub(provider, pullRequest)
  if (provider.GITLAB_CI) return onGitlab(provider, pullRequest)
  if (provider.BITBUCKET_BUILD_NUMBER) return onBitbucket(provider, pullRequest)
  throw new UsageError('--comment works in GitHub Actions, GitLab CI and Bitbucket Pipelines.')
}

function onGithub(
  { GITHUB_API_URL: api, GITHUB_REPOSITORY: repository, GITHUB_TOKEN: token }: Record<string, string>,
  pullRequest: number,
): Comments {
  const request = caller(`${api ?? 'https://api.github.com'}/repos/${repository}/issues`, 'GITHUB_TOKEN', token, (key) => ({
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
    authorization: `Bearer ${key}`,
  }))
  const list = z.array(z.object({ id: z.number(), body: z.string().nullish(), user: z.object({ type: z.string() }).nullish() }))
  return {
    // Anybody can write a comment with our title; the token of a workflow is a bot.
    list: async (page) =>
      list
        .parse(await request('GET', `/${pullRequest}/comments?per_page=${pageSize}&page=${page}`))
        .map(({ id, body, user }) => ({ id, text: body ?? '', isOurs: user?.type === 'Bot' })),
    create: (body) => request('POST', `/${pullRequest}/comments`, { body }),
    update: (id, body) => request('PATCH', `/comments/${id}`, { body }),
  }
}

function onGitlab({ CI_API_V4_URL: api, CI_PROJECT_ID: project, GITLAB_TOKEN: token }: Record<string, string>, pullRequest: number): Comments {
  const base = `${api ?? 'https://gitlab.com/api/v4'}/projects/${project}/merge_requests/${pullRequest}/notes`
  const request = caller(base, 'GITLAB_TOKEN', token, (key) => ({ 'private-token': key }))
  const list = z.array(z.object({ id: z.number(), body: z.string(), system: z.boolean().optional() }))
  return {
    list: async (page) =>
      list
        .parse(await request('GET', `?per_page=${pageSize}&page=${page}`))
        .map(({ id, body, system }) => ({ id, text: body, isOurs: system !== true })),
    create: (body) => request('POST', '', { body }),
    update: (id, body) => request('PUT', `/${id}`, { body }),
  }
}

function onBitbucket(variables: Record<string, string>, pullRequest: number): Comments {
  const { BITBUCKET_API_URL: api, BITBUCKET_REPO_FULL_NAME: repository, BITBUCKET_TOKEN: token } = variables
  const base = `${api ?? 'https://api.bitbucket.org/2.0'}/repositories/${repository}/pullrequests/${pullRequest}/comments`
  const request = caller(base, 'BITBUCKET_TOKEN', token, (key) => ({ authorization: `Bearer ${key}` }))
  const list = z.object({ values: z.array(z.object({ id: z.number(), content: z.object({ raw: z.string() }), deleted: z.boolean().optional() })) })
  return {
    list: async (page) =>
      list
        .parse(await request('GET', `?pagelen=${pageSize}&page=${page}`))
        .values.map(({ id, content, deleted }) => ({ id, text: content.raw, isOurs: deleted !== true })),
    create: (raw) => request('POST', '', { content: { raw } }),
    update: (id, raw) => request('PUT', `/${id}`, { content: { raw } }),
  }
}

type Request = (method: string, route: string, body?: unknown) => Promise<unknown>

function caller(base: string, variable: string, token: string | undefined, headersOf: (token: string) => Record<string, string>): Request {
  if (!token) throw new UsageError(`${variable} is not set.`, 'It must hold a token that may comment on pull requests.')
  const headers = { ...headersOf(token), 'content-type': 'application/json', 'user-agent': 'switchyard-cli' }
  return async (method, route, body) => {
    const response = await fetch(base + route, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(deadlineMs),
    }).catch((cause: unknown) => {
      throw new AppError('ERR_UNAVAILABLE', `${new URL(base).host} did not answer (${networkCode(cause) ?? 'no connection'}).`, { cause })
    })
    const text = await response.text()
    if (response.ok) return text === '' ? null : JSON.parse(text)
    throw new AppError('ERR_UNAVAILABLE', `${new URL(base).host} answered ${response.status}.`, {
      nextAction: `Check that the token in ${variable} may comment on pull requests.`,
    })
  }
}
