import type { ForgeProvider } from '@/shared/forges'
import type { ForgeClient } from './client'
import type { Forge, Report, ReportState } from './forge'

type MakeForge = (client: ForgeClient, repository: string) => Forge

const perPage = 100
/** Comments are looked through up to here: a comment of ours is among the first of a request. */
const maxPages = 20

interface Comment {
  id: number
  body: string
}

/** Finds our comment by its marker, page by page. */
async function findComment(marker: string, readPage: (page: number) => Promise<Comment[]>): Promise<Comment | null> {
  for (let page = 1; page <= maxPages; page++) {
    const comments = await readPage(page)
    const found = comments.find(({ body }) => body.includes(marker))
    if (found || comments.length < perPage) return found ?? null
  }
  return null
}

/** Updates our comment or creates it; an unchanged comment is left alone. */
async function upsertComment(
  text: string,
  found: Comment | null,
  write: { create: () => Promise<unknown>; update: (id: number) => Promise<unknown> },
): Promise<void> {
  if (found?.body === text) return
  await (found ? write.update(found.id) : write.create())
}

const githubStates: Record<ReportState, string> = {
  pending: 'pending',
  running: 'pending',
  success: 'success',
  failure: 'failure',
  canceled: 'error',
}
const githubDeploymentStates: Record<ReportState, string> = {
  pending: 'queued',
  running: 'in_progress',
  success: 'success',
  failure: 'failure',
  canceled: 'inactive',
}

/** https://docs.github.com/rest: commit statuses, deployments, issue comments. */
const github: MakeForge = (client, repository) => {
  const base = `/repos/${repository}`
  const findDeployment = async ({ deploymentId, commitSha, environment }: Report): Promise<string | null> => {
    const query = new URLSearchParams({ sha: commitSha, environment, per_page: String(perPage) })
    const found = await client.get<{ id: number; payload: { switchyard?: string } | string | null }[]>(`${base}/deployments?${query}`)
    const own = found.find(({ payload }) => typeof payload === 'object' && payload?.switchyard === deploymentId)
    return own ? String(own.id) : null
  }
  const createDeployment = async (report: Report): Promise<string> => {
    const created = await client.send<{ id: number }>('POST', `${base}/deployments`, {
      ref: report.commitSha,
      environment: report.environment,
      description: report.description,
      auto_merge: false,
      // The deployment has happened already: checks of the commit must not prevent its record.
      required_contexts: [],
      production_environment: report.isProduction,
      transient_environment: !report.isProduction,
      payload: { switchyard: report.deploymentId },
    })
    return String(created.id)
  }
  return {
    async setStatus(report) {
      const { state, context, description, pageUrl } = report
      await client.send('POST', `${base}/statuses/${report.commitSha}`, { state: githubStates[state], context, description, target_url: pageUrl })
    },
    async setDeployment(report, known) {
      const id = known ?? (await findDeployment(report)) ?? (await createDeployment(report))
      await client.send('POST', `${base}/deployments/${id}/statuses`, {
        state: githubDeploymentStates[report.state],
        description: report.description,
        environment_url: report.environmentUrl,
        log_url: report.pageUrl,
        auto_inactive: true,
      })
      return id
    },
    async setComment(pullRequest, marker, text) {
      const list = `${base}/issues/${pullRequest}/comments`
      const found = await findComment(marker, (page) => client.get<Comment[]>(`${list}?per_page=${perPage}&page=${page}`))
      await upsertComment(text, found, {
        create: () => client.send('POST', list, { body: text }),
        update: (id) => client.send('PATCH', `${base}/issues/comments/${id}`, { body: text }),
      })
    },
  }
}

const gitlabStates: Record<ReportState, string> = {
  pending: 'pending',
  running: 'running',
  success: 'success',
  failure: 'failed',
  canceled: 'canceled',
}
const gitlabDeploymentStates: Record<ReportState, string> = { ...gitlabStates, pending: 'created' }

/** https://docs.gitlab.com/api: commit statuses, deployments, notes of merge requests. */
const gitlab: MakeForge = (client, repository) => {
  const base = `/projects/${encodeURIComponent(repository)}`
  return {
    async setStatus(report) {
      const { state, context, description, pageUrl, ref } = report
      const body = { state: gitlabStates[state], name: context, description, target_url: pageUrl, ...(ref ? { ref } : {}) }
      // GitLab refuses a state that the status has already, or has left: our report was there before.
      const isThere = ({ status, text }: { status: number; text: string }) => status === 400 && text.includes('Cannot transition status')
      await client.send('POST', `${base}/statuses/${report.commitSha}`, body, isThere)
    },
    async setDeployment(report, known) {
      const status = gitlabDeploymentStates[report.state]
      const id = known ?? (await findGitlabDeployment(client, base, report))
      if (id === null) {
        const { environment, commitSha: sha } = report
        const created = await client.send<{ id: number }>('POST', `${base}/deployments`, {
          environment,
          sha,
          ref: report.ref ?? sha,
          tag: false,
          status,
        })
        return String(created.id)
      }
      // As with commit statuses, a state that is there already is refused with 400.
      await client.send('PUT', `${base}/deployments/${id}`, { status }, (answer) => answer.status === 400)
      return id
    },
    async setComment(pullRequest, marker, text) {
      const list = `${base}/merge_requests/${pullRequest}/notes`
      const found = await findComment(marker, (page) =>
        client.get<Comment[]>(`${list}?per_page=${perPage}&page=${page}&sort=asc&order_by=created_at`),
      )
      await upsertComment(text, found, {
        create: () => client.send('POST', list, { body: text }),
        update: (id) => client.send('PUT', `${list}/${id}`, { body: text }),
      })
    },
  }
}

/** A deployment of GitLab carries nothing of ours: it is the newest one of the commit and environment since ours was queued. */
async function findGitlabDeployment(client: ForgeClient, base: string, { environment, commitSha, createdAt }: Report): Promise<string | null> {
  const query = new URLSearchParams({ environment, order_by: 'id', sort: 'desc', per_page: String(perPage) })
  const found = await client.get<{ id: number; sha: string; created_at: string; status: string }[]>(`${base}/deployments?${query}`)
  const own = found.find(
    ({ sha, created_at, status }) =>
      sha === commitSha && ['created', 'running'].includes(status) && Date.parse(created_at) >= createdAt.getTime() - 60_000,
  )
  return own ? String(own.id) : null
}

const bitbucketStates: Record<ReportState, string> = {
  pending: 'INPROGRESS',
  running: 'INPROGRESS',
  success: 'SUCCESSFUL',
  failure: 'FAILED',
  canceled: 'STOPPED',
}
const longestBitbucketKey = 40

/** https://developer.atlassian.com/cloud/bitbucket/rest: build statuses, comments of pull requests. Deployments are written by its pipelines alone. */
const bitbucket: MakeForge = (client, repository) => {
  const base = `/repositories/${repository}`
  return {
    async setStatus(report) {
      const { state, context, description, pageUrl } = report
      // A status with the same key is replaced.
      const key = context.slice(-longestBitbucketKey)
      await client.send('POST', `${base}/commit/${report.commitSha}/statuses/build`, {
        key,
        name: context,
        state: bitbucketStates[state],
        url: pageUrl,
        description,
      })
    },
    setDeployment: null,
    async setComment(pullRequest, marker, text) {
      const list = `${base}/pullrequests/${pullRequest}/comments`
      const readPage = async (page: number): Promise<Comment[]> => {
        const { values } = await client.get<{ values: { id: number; deleted?: boolean; content: { raw: string } }[] }>(
          `${list}?pagelen=${perPage}&page=${page}`,
        )
        return values.map(({ id, deleted, content }) => ({ id, body: deleted ? '' : content.raw }))
      }
      await upsertComment(text, await findComment(marker, readPage), {
        create: () => client.send('POST', list, { content: { raw: text } }),
        update: (id) => client.send('PUT', `${list}/${id}`, { content: { raw: text } }),
      })
    },
  }
}

/** The API of Gitea and Forgejo: commit statuses, issue comments. They keep no deployments. */
const gitea: MakeForge = (client, repository) => {
  const base = `/repos/${repository}`
  return {
    async setStatus(report) {
      const { state, context, description, pageUrl } = report
      await client.send('POST', `${base}/statuses/${report.commitSha}`, { state: githubStates[state], context, description, target_url: pageUrl })
    },
    setDeployment: null,
    async setComment(pullRequest, marker, text) {
      const list = `${base}/issues/${pullRequest}/comments`
      // The list of an issue's comments has no pages (it ignores `page` and answers with all of them).
      const all = await client.get<Comment[]>(`${list}`)
      await upsertComment(text, all.find(({ body }) => body.includes(marker)) ?? null, {
        create: () => client.send('POST', list, { body: text }),
        update: (id) => client.send('PATCH', `${base}/issues/comments/${id}`, { body: text }),
      })
    },
  }
}

export const forges: Readonly<Record<ForgeProvider, MakeForge>> = { github, gitlab, bitbucket, gitea }
