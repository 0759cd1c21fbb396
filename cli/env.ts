import { homedir } from 'node:os'
import path from 'node:path'

/** Settings from environment variables. No other file of `cli/` reads `process.env`. */
export interface CliEnv {
  api: string | null
  token: string | null
  /** File with the API key, for machines that store secrets in files. */
  tokenFile: string | null
  /** `~/.config/switchyard`, or `switchyard` below XDG_CONFIG_HOME. */
  configDirectory: string
  /** True in CI: no prompts. */
  ci: boolean
  /** True on a desktop with a browser. */
  hasDisplay: boolean
  path: string
  /** Environment variables that a browser needs to find the desktop. */
  desktop: Record<string, string>
  /** Variables of GitHub Actions, GitLab CI and Bitbucket Pipelines that a comment on a pull request needs. */
  provider: Record<string, string>
}

const desktopNames = ['DISPLAY', 'WAYLAND_DISPLAY', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS', 'XAUTHORITY', 'HOME', 'BROWSER', 'XDG_DATA_DIRS']

const providerNames = [
  ...['GITHUB_ACTIONS', 'GITHUB_API_URL', 'GITHUB_REPOSITORY', 'GITHUB_TOKEN'],
  ...['GITLAB_CI', 'CI_API_V4_URL', 'CI_PROJECT_ID', 'GITLAB_TOKEN'],
  ...['BITBUCKET_BUILD_NUMBER', 'BITBUCKET_API_URL', 'BITBUCKET_REPO_FULL_NAME', 'BITBUCKET_TOKEN'],
]

/** picocolors itself reads NO_COLOR and FORCE_COLOR. */
export function readCliEnv(source: Record<string, string | undefined> = process.env): CliEnv {
  const given = (name: string) => source[name] || null
  const named = (names: string[]) => Object.fromEntries(names.flatMap((name) => (source[name] ? [[name, source[name]]] : [])))
  return {
    api: given('SWITCHYARD_API'),
    token: given('SWITCHYARD_TOKEN'),
    tokenFile: given('SWITCHYARD_TOKEN_FILE'),
    configDirectory: path.join(given('XDG_CONFIG_HOME') ?? path.join(given('HOME') ?? homedir(), '.config'), 'switchyard'),
    ci: given('CI') !== null && given('CI') !== 'false',
    hasDisplay: process.platform === 'darwin' || given('DISPLAY') !== null || given('WAYLAND_DISPLAY') !== null,
    path: given('PATH') ?? '/usr/local/bin:/usr/bin:/bin',
    desktop: named(desktopNames),
    provider: named(providerNames),
  }
}
