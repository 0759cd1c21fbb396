import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { baseEnv, exec, start } from '@/shared/node/exec'

/** Path → content. A value of `{ link }` is a symbolic link, `{ commit }` a submodule. */
export type RepositoryFiles = Record<string, string | Uint8Array | { link: string } | { commit: string }>

export interface CommitOptions {
  /** Default `main`. Created from `main` when it does not exist. */
  branch?: string
  message?: string
  /** Also tags the commit. */
  tag?: string
}

export interface GitServer {
  /** `http://127.0.0.1:<port>`; a repository is at `<url>/<name>.git`. */
  url: string
  repositoryUrl(name: string): string
  createRepo(name: string, files: RepositoryFiles): Promise<{ url: string; sha: string }>
  /** Adds a commit on top of the branch; files not named stay. Returns its id. */
  commit(name: string, files: RepositoryFiles, options?: CommitOptions): Promise<string>
  /** Runs git on the bare repository, for what the above cannot. */
  git(name: string, args: string[]): Promise<string>
  close(): Promise<void>
}

export interface GitServerOptions {
  /** Directory of the bare repositories. */
  root: string
  /** When set every request needs these. */
  auth?: { username: string; password: string }
  /** 0 hides that the client offers protocol version 2, as old servers do. */
  protocolVersion?: 0 | 2
  /** Called first; true means it has answered. For redirects, stalls and the like. */
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean
}

const identity = {
  GIT_AUTHOR_NAME: 'Ada Test',
  GIT_AUTHOR_EMAIL: 'ada@example.test',
  GIT_COMMITTER_NAME: 'Ada Test',
  GIT_COMMITTER_EMAIL: 'ada@example.test',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
}

async function runGit(args: string[], cwd: string): Promise<string> {
  const result = await exec(['git', ...args], { cwd, env: { ...baseEnv, ...identity, HOME: cwd }, deadlineMs: 60_000 })
  if (result.code !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`)
  return result.stdout.trim()
}

/** Splits the answer of a CGI program into head and body, and streams it on. */
function relayCgi(output: NodeJS.ReadableStream, response: ServerResponse): void {
  let head = Buffer.alloc(0)
  let inBody = false
  output.on('data', (chunk: Buffer) => {
    if (inBody) return void response.write(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    inBody = true
    for (const line of head.subarray(0, end).toString('latin1').split('\r\n')) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon)
      const value = line.slice(colon + 1).trim()
      if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.write(head.subarray(end + 4))
  })
  output.on('end', () => response.end())
}

function serve(options: GitServerOptions, request: IncomingMessage, response: ServerResponse): void {
  if (options.intercept?.(request, response)) return
  const { auth } = options
  const expected = auth && `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`
  if (expected && request.headers.authorization !== expected) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
    return
  }
  const url = new URL(request.url ?? '/', 'http://git.test')
  const protocol = options.protocolVersion === 0 ? undefined : request.headers['git-protocol']
  const child = start(['git', 'http-backend'], {
    env: {
      ...baseEnv,
      ...identity,
      GIT_PROJECT_ROOT: options.root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-encoding'] ? { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] } : {}),
      ...(typeof protocol === 'string' ? { GIT_PROTOCOL: protocol } : {}),
    } as unknown as NodeJS.ProcessEnv,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.on('error', () => response.destroy())
  response.on('close', () => child.kill('SIGKILL'))
  child.stdin?.on('error', () => {})
  if (child.stdin) request.pipe(child.stdin)
  if (child.stdout) relayCgi(child.stdout, response)
}

/** A real Git server over HTTP on loopback: `git http-backend` behind node:http. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  await mkdir(options.root, { recursive: true })
  const server = createServer((request, response) => serve(options, request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const bare = (name: string) => path.join(options.root, `${name}.git`)

  async function commit(name: string, files: RepositoryFiles, commitOptions: CommitOptions = {}): Promise<string> {
    const branch = commitOptions.branch ?? 'main'
    const work = await mkdtemp(path.join(tmpdir(), 'git-work-'))
    try {
      await runGit(['clone', '--quiet', bare(name), 'tree'], work)
      const tree = path.join(work, 'tree')
      const exists = (await runGit(['branch', '--all', '--list', `origin/${branch}`], tree)) !== ''
      const hasCommits = (await runGit(['rev-list', '--all', '--max-count=1'], tree)) !== ''
      if (hasCommits) await runGit(exists ? ['checkout', '--quiet', branch] : ['checkout', '--quiet', '-b', branch], tree)
      const submodules: string[] = []
      for (const [file, content] of Object.entries(files)) {
        if (typeof content === 'object' && 'commit' in content) {
          submodules.push('--cacheinfo', `160000,${content.commit},${file}`)
          continue
        }
        const target = path.join(tree, file)
        await mkdir(path.dirname(target), { recursive: true })
        if (typeof content === 'object' && 'link' in content) await symlink(content.link, target)
        else await writeFile(target, content)
      }
      await runGit(['add', '--all', '--force'], tree)
      if (submodules.length > 0) await runGit(['update-index', '--add', ...submodules], tree)
      await runGit(['commit', '--quiet', '--allow-empty', '-m', commitOptions.message ?? 'A change'], tree)
      if (commitOptions.tag) await runGit(['tag', '-a', '-m', 'A tag', commitOptions.tag], tree)
      await runGit(['push', '--quiet', '--follow-tags', 'origin', `HEAD:refs/heads/${branch}`], tree)
      return await runGit(['rev-parse', 'HEAD'], tree)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }

  return {
    url,
    repositoryUrl: (name) => `${url}/${name}.git`,
    async createRepo(name, files) {
      await runGit(['init', '--quiet', '--bare', '--initial-branch=main', bare(name)], options.root)
      return { url: `${url}/${name}.git`, sha: await commit(name, files, { message: 'First commit' }) }
    },
    commit,
    git: (name, args) => runGit(['--git-dir', bare(name), ...args], options.root),
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}
