import { homedir } from 'node:os'
import path from 'node:path'

/** What the command is told by its environment. No other file of `cli/` reads `process.env`. */
export interface CliEnv {
  api: string | null
  token: string | null
  /** File that holds the key, for machines that keep secrets in files. */
  tokenFile: string | null
  /** `~/.config/switchyard`, or where XDG_CONFIG_HOME says. */
  configDirectory: string
  /** Nobody is there to answer a question. */
  ci: boolean
  /** A desktop that can show a browser. */
  hasDisplay: boolean
  path: string
  /** Only what a browser needs to find the desktop. */
  desktop: Record<string, string>
}

const desktopNames = ['DISPLAY', 'WAYLAND_DISPLAY', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS', 'XAUTHORITY', 'HOME', 'BROWSER', 'XDG_DATA_DIRS']

/** Colours are picocolors' own business: it knows NO_COLOR and FORCE_COLOR. */
export function readCliEnv(source: Record<string, string | undefined> = process.env): CliEnv {
  const given = (name: string) => source[name] || null
  return {
    api: given('SWITCHYARD_API'),
    token: given('SWITCHYARD_TOKEN'),
    tokenFile: given('SWITCHYARD_TOKEN_FILE'),
    configDirectory: path.join(given('XDG_CONFIG_HOME') ?? path.join(given('HOME') ?? homedir(), '.config'), 'switchyard'),
    ci: given('CI') !== null && given('CI') !== 'false',
    hasDisplay: process.platform === 'darwin' || given('DISPLAY') !== null || given('WAYLAND_DISPLAY') !== null,
    path: given('PATH') ?? '/usr/local/bin:/usr/bin:/bin',
    desktop: Object.fromEntries(desktopNames.flatMap((name) => (source[name] ? [[name, source[name]]] : []))),
  }
}
