import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { AppError, isAppError } from '@/shared/errors'
import { baseEnv, type ExecResult, exec } from '@/shared/node/exec'
import type { PinnedAddress } from './address'
import { canceled, tooSlow } from './problem'

export interface GitOptions {
  address: PinnedAddress
  /** The bare repository for all commands. */
  gitDirectory: string
  /** Empty private directory: no user configuration, keys or credentials are read. */
  home: string
  knownHostsFile: string
  sshKeyFile?: string
  timeoutMs: number
  signal?: AbortSignal
}

export interface RunOptions {
  /** Stops only this command; used by the size limit. */
  signal?: AbortSignal
  env?: Record<string, string>
  onLine?: (stream: 'stdout' | 'stderr', line: string) => void
  maxOutputBytes?: number
}

export interface Git {
  /** Runs `git <args>` in the repository. A non-zero exit code is a result, not an error. */
  run(args: string[], options?: RunOptions): Promise<ExecResult>
}

// Git 2.37 introduced curloptResolve, which pins the address; older versions ignore it silently.
const oldestGit = [2, 37] as const

const fixedConfig = [
  'safe.bareRepository=explicit',
  'protocol.file.allow=never',
  'protocol.ext.allow=never',
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.symlinks=true',
  'core.autocrlf=false',
  'core.askPass=',
  'credential.helper=',
  'http.followRedirects=false',
  'http.proxy=',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=60',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'fetch.unpackLimit=1',
  'gc.auto=0',
  'maintenance.auto=false',
  'pack.threads=1',
  'advice.detachedHead=false',
  'init.defaultBranch=main',
]

/** Quotes a word for the shell that runs GIT_SSH_COMMAND. */
const shellWord = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

function sshCommand(options: GitOptions): string {
  const { address, knownHostsFile, sshKeyFile } = options
  const settings = [
    'BatchMode=yes',
    'ConnectTimeout=20',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'ProxyCommand=none',
    'StrictHostKeyChecking=accept-new',
    `UserKnownHostsFile="${knownHostsFile}"`,
    'GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts',
    // Connect to the pinned address; the host key is still looked up by name.
    `HostName=${address.ip}`,
    `HostKeyAlias=${address.host}`,
    // Otherwise ssh would offer keys and the agent of the platform's own user to any host.
    'IdentityAgent=none',
    'IdentitiesOnly=yes',
    `IdentityFile="${sshKeyFile ?? 'none'}"`,
  ]
  return ['ssh', '-F', '/dev/null', ...settings.flatMap((setting) => ['-o', shellWord(setting)])].join(' ')
}

function addressConfig(address: PinnedAddress): string[] {
  if (address.scheme !== 'https' && address.scheme !== 'http') return []
  if (address.ip === address.host) return []
  const ip = address.ip.includes(':') ? `[${address.ip}]` : address.ip
  return [`http.curloptResolve=${address.host}:${address.port}:${ip}`]
}

function environment(options: GitOptions): Record<string, string> {
  const { address, home } = options
  const env: Record<string, string> = {
    ...baseEnv,
    LC_ALL: 'C.UTF-8',
    HOME: home,
    XDG_CONFIG_HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_ALLOW_PROTOCOL: address.scheme,
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_SSH_COMMAND: sshCommand(options),
  }
  if (address.credentials) {
    // Pass credentials in the environment: in argv or the URL they would appear in process lists, error messages and files.
    const basic = Buffer.from(`${address.credentials.username}:${address.credentials.password}`).toString('base64')
    env.GIT_CONFIG_COUNT = '1'
    env.GIT_CONFIG_KEY_0 = 'http.extraHeader'
    env.GIT_CONFIG_VALUE_0 = `Authorization: Basic ${basic}`
  }
  return env
}

const missingGit = (cause?: unknown) =>
  new AppError('ERR_UNAVAILABLE', 'Git is not installed on this machine', {
    step: 'source',
    cause,
    nextAction: 'Install Git 2.37 or newer (apt-get install git), then deploy again.',
  })

let checkedGit: Promise<void> | undefined
async function checkGit(): Promise<void> {
  let result: ExecResult
  try {
    result = await exec(['git', 'version'], { env: { ...baseEnv }, deadlineMs: 15_000 })
  } catch (cause) {
    throw missingGit(cause)
  }
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(result.stdout)?.slice(1) ?? []).map(Number)
  if (major > oldestGit[0] || (major === oldestGit[0] && minor >= oldestGit[1])) return
  throw new AppError('ERR_UNAVAILABLE', `Git ${major}.${minor} on this machine is too old to be used safely`, {
    step: 'source',
    nextAction: 'Install Git 2.37 or newer, then deploy again.',
  })
}

/** Prepares git. @throws AppError ERR_UNAVAILABLE when git is missing or too old. */
export async function openGit(options: GitOptions): Promise<Git> {
  checkedGit ??= checkGit().catch((error: unknown) => {
    checkedGit = undefined
    throw error
  })
  await checkedGit
  await mkdir(options.home, { recursive: true, mode: 0o700 })
  await mkdir(path.dirname(options.knownHostsFile), { recursive: true, mode: 0o700 })
  const startedAt = performance.now()
  const env = environment(options)
  const config = [...fixedConfig, ...addressConfig(options.address)].flatMap((setting) => ['-c', setting])

  return {
    async run(args, runOptions = {}) {
      const leftMs = options.timeoutMs - (performance.now() - startedAt)
      if (leftMs <= 0) throw tooSlow(options.timeoutMs)
      const signals = [options.signal, runOptions.signal].filter((signal) => signal !== undefined)
      try {
        return await exec(['git', ...config, `--git-dir=${options.gitDirectory}`, ...args], {
          cwd: path.dirname(options.gitDirectory),
          env: { ...env, ...runOptions.env },
          deadlineMs: Math.ceil(leftMs),
          signal: AbortSignal.any(signals),
          onLine: runOptions.onLine,
          maxOutputBytes: runOptions.maxOutputBytes,
        })
      } catch (error) {
        if (options.signal?.aborted) throw canceled(error)
        if (isAppError(error) && error.code === 'ERR_DEADLINE') throw tooSlow(options.timeoutMs)
        throw error
      }
    },
  }
}
