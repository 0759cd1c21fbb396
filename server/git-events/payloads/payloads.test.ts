import examples from '@octokit/webhooks-examples'
import { describe, expect, it } from 'vitest'
import { gitProviders } from '@/shared/git-events'
import type { GitEvent } from '../event'
import { eventLabel, readPayload } from '.'

interface Example {
  name: string
  examples: Record<string, unknown>[]
}
const recorded = (examples as unknown as Example[]).flatMap(({ name, examples: payloads }) => payloads.map((payload, i) => ({ name, payload, i })))

const [a, b, none] = ['a'.repeat(40), 'b'.repeat(40), '0'.repeat(40)]
const one = (provider: (typeof gitProviders)[number], event: string, payload: unknown): GitEvent => {
  const events = readPayload(provider, event, payload)
  expect(events).toHaveLength(1)
  return events[0] as GitEvent
}

describe('every recorded payload of GitHub gets a sensible answer', () => {
  it('there are payloads of all kinds', () => {
    expect(recorded.length).toBeGreaterThan(300)
    expect(new Set(recorded.map(({ name }) => name)).size).toBeGreaterThan(50)
  })

  it.each(recorded.map((row) => [`${eventLabel(row.name, row.payload)} #${row.i}`, row] as const))('%s', (_, { name, payload }) => {
    const event = one('github', name, payload)
    const refName = String(payload.ref ?? '')
    const { action, number } = payload as { action?: string; number?: number }
    if (name === 'ping') expect(event).toEqual({ kind: 'ping' })
    else if (name === 'push' && refName.startsWith('refs/heads/'))
      expect(event).toMatchObject({
        kind: 'push',
        repository: 'Codertocat/Hello-World',
        branch: 'master',
        after: payload.after,
        message: 'Initial commit',
        author: 'Codertocat',
        files: ['README.md'],
        defaultBranch: 'master',
      })
    else if (name === 'push') expect(event).toEqual({ kind: 'other', why: 'tag simple-tag is no branch' })
    else if (name === 'pull_request' && ['opened', 'reopened', 'closed', 'synchronize'].includes(action ?? ''))
      expect(event).toMatchObject({
        kind: 'pull-request',
        number,
        change: action === 'synchronize' ? 'synchronized' : action,
        headBranch: 'changes',
        headSha: expect.stringMatching(/^[0-9a-f]{40}$/),
        fork: false,
        base: 'master',
        updatedAt: expect.stringMatching(/Z$/),
      })
    else
      expect(event).toMatchObject({
        kind: 'other',
        why: expect.stringMatching(name === 'pull_request' ? /changes nothing/ : new RegExp(`"${name}" events`)),
      })
  })
})

const repository = { full_name: 'acme/shop', default_branch: 'main' }
const commit = (id: string, files: object = { added: [], modified: ['web/a.ts'], removed: [] }) => ({
  id,
  message: 'Fix it\n',
  author: { name: 'Ada' },
  ...files,
})

describe('GitHub', () => {
  const push = {
    ref: 'refs/heads/main',
    before: a,
    after: b,
    forced: false,
    commits: [commit(b)],
    head_commit: commit(b),
    repository,
    pusher: { name: 'ada' },
  }
  it('files are not known after a force push, and without commits', () => {
    expect(one('github', 'push', push)).toMatchObject({ files: ['web/a.ts'], before: a, after: b, message: 'Fix it' })
    expect(one('github', 'push', { ...push, forced: true })).toMatchObject({ files: null, forced: true })
    expect(one('github', 'push', { ...push, commits: [] })).toMatchObject({ files: null })
  })
  it('a created and a deleted branch', () => {
    expect(one('github', 'push', { ...push, before: none })).toMatchObject({ before: null, after: b })
    expect(one('github', 'push', { ...push, after: none, commits: [], head_commit: null })).toMatchObject({ before: a, after: null })
  })
  it('a pull request of a fork, merged, or of a fork that was deleted', () => {
    const pull = (head: object, more: object = {}) => ({
      action: 'closed',
      number: 7,
      repository,
      pull_request: {
        title: 'T',
        user: { login: 'eve' },
        head: { ref: 'x', sha: a, ...head },
        base: { ref: 'main', sha: b, repo: repository },
        updated_at: '2026-11-30T10:00:00Z',
        ...more,
      },
    })
    expect(one('github', 'pull_request', pull({ repo: { full_name: 'eve/shop' } }, { merged: true }))).toMatchObject({
      fork: true,
      change: 'merged',
      number: 7,
      author: 'eve',
    })
    expect(one('github', 'pull_request', pull({ repo: null }))).toMatchObject({ fork: true, change: 'closed' })
    expect(one('github', 'pull_request', pull({ repo: repository }))).toMatchObject({ fork: false, headRef: 'refs/pull/7/head' })
  })
})

/** In the form of docs.gitlab.com, Webhook events. */
describe('GitLab', () => {
  const project = { path_with_namespace: 'mike/team/diaspora', default_branch: 'master' }
  const push = {
    object_kind: 'push',
    event_name: 'push',
    before: a,
    after: b,
    ref: 'refs/heads/master',
    checkout_sha: b,
    user_name: 'John Smith',
    project,
    commits: [
      { ...commit(a, { added: ['CHANGELOG'], modified: [], removed: [] }) },
      { ...commit(b), message: 'fixed readme', author: { name: 'GitLab dev user' } },
    ],
    total_commits_count: 2,
  }
  it('a push', () => {
    expect(one('gitlab', 'Push Hook', push)).toEqual({
      kind: 'push',
      repository: 'mike/team/diaspora',
      branch: 'master',
      before: a,
      after: b,
      forced: false,
      message: 'fixed readme',
      author: 'GitLab dev user',
      files: ['CHANGELOG', 'web/a.ts'],
      defaultBranch: 'master',
    })
  })
  it('files are not known when more commits were pushed than are listed, and when the branch is new', () => {
    expect(one('gitlab', 'Push Hook', { ...push, total_commits_count: 21 })).toMatchObject({ files: null })
    expect(one('gitlab', 'Push Hook', { ...push, before: none })).toMatchObject({ files: null, before: null })
    expect(one('gitlab', 'Push Hook', { ...push, after: none, checkout_sha: null, commits: [] })).toMatchObject({ after: null, files: null })
  })
  it('a tag, a system hook and other events', () => {
    expect(one('gitlab', 'Tag Push Hook', { object_kind: 'tag_push', ref: 'refs/tags/v1.0.0' })).toEqual({
      kind: 'other',
      why: 'tag v1.0.0 is no branch',
    })
    expect(one('gitlab', 'System Hook', { ...push, object_kind: undefined })).toMatchObject({ kind: 'push' })
    expect(one('gitlab', 'Pipeline Hook', { object_kind: 'pipeline' })).toEqual({ kind: 'other', why: '"pipeline" events deploy nothing' })
  })
  it('merge requests', () => {
    const request = (attributes: object) => ({
      object_kind: 'merge_request',
      user: { username: 'root' },
      project,
      object_attributes: {
        iid: 1,
        title: 'MS-Viewport',
        source_branch: 'ms-viewport',
        target_branch: 'master',
        source_project_id: 14,
        target_project_id: 14,
        last_commit: { id: b, message: 'fixed readme [skip ci]', author: { name: 'Dev' } },
        updated_at: '2017-09-15 16:52:00 UTC',
        action: 'open',
        ...attributes,
      },
    })
    const read = (attributes: object) => one('gitlab', 'Merge Request Hook', request(attributes))
    expect(read({})).toMatchObject({
      change: 'opened',
      number: 1,
      fork: false,
      headSha: b,
      headRef: 'refs/merge-requests/1/head',
      updatedAt: '2017-09-15T16:52:00.000Z',
    })
    expect(read({ source_project_id: 15 })).toMatchObject({ fork: true })
    expect(read({ action: 'update', oldrev: a })).toMatchObject({ change: 'synchronized' })
    expect(read({ action: 'update' })).toMatchObject({ kind: 'other' })
    expect(['close', 'merge', 'reopen'].map((action) => (read({ action }) as { change: string }).change)).toEqual(['closed', 'merged', 'reopened'])
    expect(read({ action: 'approved' })).toMatchObject({ kind: 'other' })
  })
})

/** In the form of support.atlassian.com, Event payloads. */
describe('Bitbucket', () => {
  const where = { full_name: 'team_name/repo_name', mainbranch: { name: 'main' } }
  const state = (name: string, hash: string, type = 'branch') => ({
    type,
    name,
    target: { type: 'commit', hash, message: 'new commit message\n', author: { raw: 'Emma <emma@example.org>', user: { display_name: 'Emma' } } },
  })
  const push = (changes: object[]) => ({ repository: where, actor: { display_name: 'Emma' }, push: { changes } })
  it('a push of several branches and tags', () => {
    const events = readPayload(
      'bitbucket',
      'repo:push',
      push([
        { new: state('main', b), old: state('main', a), forced: false },
        { new: null, old: state('gone', a) },
        { new: state('v1', b, 'tag'), old: null },
      ]),
    )
    expect(events).toEqual([
      expect.objectContaining({
        kind: 'push',
        branch: 'main',
        before: a,
        after: b,
        message: 'new commit message',
        author: 'Emma',
        files: null,
        defaultBranch: 'main',
      }),
      expect.objectContaining({ kind: 'push', branch: 'gone', before: a, after: null }),
      { kind: 'other', why: 'tag v1 is no branch' },
    ])
    expect(readPayload('bitbucket', 'repo:push', push([]))).toEqual([{ kind: 'other', why: 'nothing was pushed' }])
  })
  it('pull requests, whose commits are abbreviated', () => {
    const side = (name: string, hash: string, repo = where) => ({ branch: { name }, commit: { hash }, repository: repo })
    const pull = (source: object) => ({
      repository: where,
      pullrequest: {
        id: 1,
        title: 'Title',
        author: { display_name: 'Emma' },
        source,
        destination: side('master', 'ce5965ddd289'),
        updated_on: '2015-04-06T15:23:38.205705+00:00',
      },
    })
    const own = pull(side('branch2', 'd3022fc0ca3d'))
    expect(one('bitbucket', 'pullrequest:created', own)).toMatchObject({
      change: 'opened',
      headSha: 'd3022fc0ca3d',
      headBranch: 'branch2',
      fork: false,
      updatedAt: '2015-04-06T15:23:38.205Z',
    })
    const changes = ['pullrequest:updated', 'pullrequest:fulfilled', 'pullrequest:rejected'].map(
      (event) => (one('bitbucket', event, own) as { change: string }).change,
    )
    expect(changes).toEqual(['synchronized', 'merged', 'closed'])
    expect(one('bitbucket', 'pullrequest:created', pull(side('x', 'd3022fc0ca3d', { ...where, full_name: 'eve/repo_name' })))).toMatchObject({
      fork: true,
    })
    expect(one('bitbucket', 'pullrequest:approved', own)).toMatchObject({ kind: 'other' })
  })
  it('Bitbucket Data Center: pushes, pull requests and its test', () => {
    const repo = { slug: 'shop', project: { key: 'ACME' } }
    const change = { ref: { id: 'refs/heads/main', displayId: 'main', type: 'BRANCH' }, fromHash: a, toHash: b, type: 'UPDATE' }
    const payload = {
      repository: repo,
      actor: { displayName: 'Administrator' },
      changes: [change, { ...change, ref: { ...change.ref, displayId: 'v1', type: 'TAG' } }],
      toCommit: { id: b, message: 'Fix', author: { name: 'Ada' } },
    }
    expect(readPayload('bitbucket', 'repo:refs_changed', payload)).toEqual([
      expect.objectContaining({ repository: 'ACME/shop', branch: 'main', before: a, after: b, message: 'Fix', author: 'Ada' }),
      { kind: 'other', why: 'tag v1 is no branch' },
    ])
    const ref = { displayId: 'feature', latestCommit: b, repository: repo }
    const pull = {
      pullRequest: {
        id: 10,
        title: 'T',
        updatedDate: 1505783592000,
        author: { user: { displayName: 'Admin' } },
        fromRef: ref,
        toRef: { ...ref, displayId: 'main' },
      },
    }
    expect(one('bitbucket', 'pr:from_ref_updated', pull)).toMatchObject({
      change: 'synchronized',
      headSha: b,
      fork: false,
      updatedAt: '2017-09-19T01:13:12.000Z',
    })
    expect(one('bitbucket', 'diagnostics:ping', { test: true })).toEqual({ kind: 'ping' })
  })
})

/** In the form of docs.gitea.com, Webhooks. */
describe('Gitea and Forgejo', () => {
  const push = {
    ref: 'refs/heads/develop',
    before: a,
    after: b,
    commits: [commit(b)],
    total_commits: 1,
    head_commit: commit(b),
    repository: { ...repository, default_branch: 'develop' },
    pusher: { login: 'gitea' },
  }
  it('a push; files are known only when all commits are listed', () => {
    expect(one('gitea', 'push', push)).toMatchObject({
      kind: 'push',
      branch: 'develop',
      files: ['web/a.ts'],
      message: 'Fix it',
      defaultBranch: 'develop',
    })
    expect(one('gitea', 'push', { ...push, total_commits: 6 })).toMatchObject({ files: null })
  })
  it('its test delivery is a push from the head to itself', () => {
    expect(one('gitea', 'push', { ...push, before: b })).toEqual({ kind: 'ping' })
  })
  it('pull requests', () => {
    const side = (full_name: string) => ({ ref: 'master', sha: a, repo: { full_name } })
    const pull = {
      action: 'synchronized',
      number: 2,
      repository,
      pull_request: {
        title: 'update',
        user: { login: 'ada' },
        merged: false,
        head: side('other/shop'),
        base: side('acme/shop'),
        updated_at: '2022-03-09T16:31:06+09:00',
      },
    }
    expect(one('gitea', 'pull_request_sync', pull)).toMatchObject({
      change: 'synchronized',
      number: 2,
      fork: true,
      updatedAt: '2022-03-09T07:31:06.000Z',
    })
    expect(one('gitea', 'pull_request', { ...pull, action: 'label_updated' })).toMatchObject({ kind: 'other' })
  })
})

it.each(gitProviders)('a payload of %s that has not its form deploys nothing and does not throw', (provider) => {
  for (const payload of [null, 1, 'x', [], {}, { ref: 7 }, { ref: 'refs/heads/main', repository: { full_name: 'a/b' }, after: 'not a commit' }])
    for (const event of ['push', 'Push Hook', 'repo:push', 'pull_request', 'pullrequest:created', 'pr:opened', '__proto__', ''])
      expect(readPayload(provider, event, payload)).toEqual([{ kind: 'other', why: expect.any(String) }])
})
