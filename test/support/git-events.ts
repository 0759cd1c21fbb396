import { createHmac } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { readRemoteHead } from '@/builder/source/remote-head'
import { handleRest } from '@/server/api/rest/handler'
import { createGitEvents, type GitEventsDeps, runGitEvents } from '@/server/git-events'
import { gitEventDeps } from '@/server/git-events/compose'
import { startWorker } from '@/server/jobs/worker'
import type { GitHookView, GitProvider } from '@/shared/git-events'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi } from './api'
import { startGitServer } from './git-server'
import { until } from './processes'

/** A push as GitHub announces it. */
export function pushOf(name: string, branch: string, before: string, after: string, more: { message?: string; files?: string[] } = {}) {
  const { message = 'A change', files = ['a.txt'] } = more
  const commit = { id: after, message, author: { name: 'Ada' }, added: files, modified: [], removed: [] }
  return {
    ref: `refs/heads/${branch}`,
    ...{ before, after, forced: false, commits: [commit], head_commit: commit },
    repository: { full_name: name, default_branch: 'main' },
  }
}

interface Sent {
  event?: string
  id?: string
  secret?: string
  provider?: GitProvider
}

/** Delivers to a webhook as GitHub does. */
export async function deliver(
  hook: GitHookView,
  payload: object,
  { event = 'push', id = newId(), secret = hook.secret, provider = 'github' }: Sent = {},
): Promise<{ status: number; body: { id: string; decision: string; reason: string } }> {
  const body = JSON.stringify(payload)
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  const headers = {
    'content-type': 'application/json',
    'x-github-event': event,
    'x-github-delivery': id,
    'x-hub-signature-256': `sha256=${signature}`,
  }
  const response = await handleRest(new Request(hook.urls[provider], { method: 'POST', headers, body }))
  return { status: response.status, body: (await response.json()) as { id: string; decision: string; reason: string } }
}

/** The API on a real database with a real Git server: webhooks are received and decided about, deployments are queued and not built. */
export async function createGitWorld() {
  const api = await createTestApi({ email: 'owner@example.org', password: 'of this test', apiKey: null })
  const owner = await api.actorOf(api.boot.teamId, 'owner', { operator: true })
  const root = await mkdtemp(path.join(tmpdir(), 'git-events-'))
  const server = await startGitServer({ root })
  const logger = pino({ level: 'silent' })
  const { database, bus, secrets } = api
  const builder = {
    readHead: (_: string, source: Parameters<typeof readRemoteHead>[0], branch: string | null, signal: AbortSignal) =>
      readRemoteHead(source, branch, { signal }),
  }
  const parts = { ...database, bus, secrets, logger, builder, dashboardUrl: 'http://localhost:3000', routesChanged: async () => {} }
  const deps: GitEventsDeps = { ...gitEventDeps(parts), settleMs: 0 }
  api.platform.gitEvents = createGitEvents(deps)

  async function projectOf(name: string, settings: object = {}) {
    const { url, sha } = await server.createRepo(name, { 'README.md': 'hello' })
    const project = await api.platform.projects.create(owner, projectInput.parse({ name, repository: url, branch: 'main', ...settings }))
    return { project, hook: await api.platform.gitEvents.hook(owner, project.id), sha, name }
  }

  /** Delivers pushes of three branches, two of which are deployed: some twice, in any order, many at once. Resolves when all are decided. */
  async function storm(options: { deliveries: number; repeated: number; senders: number }) {
    const { project, hook } = await projectOf('storm')
    const slug = 'storm-staging'
    await database.prisma.environment.create({
      data: { id: newId(), teamId: owner.teamId, projectId: project.id, name: 'staging', kind: 'CUSTOM', branch: 'next', slug },
    })
    const branches = ['main', 'next', 'feature']
    const heads: Record<string, string> = {}
    const unique = Math.ceil((options.deliveries * (1 - options.repeated)) / branches.length)
    const sends: { id: string; payload: object }[] = []
    for (const branch of branches) {
      const head = await server.commit('storm', { [branch]: '1' }, { branch })
      heads[branch] = head
      const shas = [...Array.from({ length: unique }, (_, i) => createHmac('sha1', branch).update(String(i)).digest('hex')), head]
      for (let i = 0; i < unique; i++) sends.push({ id: `${branch}-${i}`, payload: pushOf('storm', branch, shas[i] ?? '', shas[i + 1] ?? '') })
    }
    const distinct = sends.length
    while (sends.length < options.deliveries) sends.push(sends[Math.floor(Math.random() * distinct)] as (typeof sends)[number])
    shuffle(sends)
    const worker = startWorker({
      ...{ pool: database.pool, bus, owner: 'storm:1', logger },
      concurrency: { build: 1, release: 1, heal: 1, prune: 1, 'git-events': 2 },
      handlers: {
        build: async () => {},
        release: async () => {},
        heal: async () => {},
        prune: async () => {},
        'git-events': ({ projectId }, job) => runGitEvents(deps, projectId, job),
      },
    })
    const acknowledgedMs: number[] = []
    const statuses = new Set<number>()
    const send = async () => {
      for (let next = sends.pop(); next; next = sends.pop()) {
        const at = performance.now()
        statuses.add((await deliver(hook, next.payload, { id: next.id })).status)
        acknowledgedMs.push(performance.now() - at)
      }
    }
    const where = { projectId: project.id }
    try {
      await Promise.all(Array.from({ length: options.senders }, send))
      await until(
        'every delivery is decided',
        120_000,
        async () => (await database.prisma.gitDelivery.count({ where: { ...where, decision: 'pending' } })) === 0,
      )
    } finally {
      await worker.stop()
    }
    const recorded = await database.prisma.gitDelivery.count({ where })
    const deployments = await database.prisma.deployment.findMany({ where, orderBy: { createdAt: 'asc' } })
    return { heads, distinct, recorded, deployments, statuses, acknowledgedMs }
  }

  return {
    ...{ api, owner, server, deps, projectOf, storm },
    async close() {
      await server.close()
      await api.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

function shuffle<T>(list: T[]): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[list[i], list[j]] = [list[j] as T, list[i] as T]
  }
}
