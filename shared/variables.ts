/** Limits for names and values of variables, so that every process of a build and of an app receives them. */

/** Linux accepts 128 KiB for one `NAME=value` including its final NUL byte (MAX_ARG_STRLEN); the longest name is 255 bytes. */
export const maxVariableBytes = 128 * 1024 - 257
/** Names and values of an environment together: a process starts with at most 2 MiB of arguments and environment. */
export const maxVariablesBytes = 1024 * 1024

/** Why this value is invalid in an environment; null: valid. */
export function valueProblem(value: string): string | null {
  if (value.includes('\0')) return 'a value with a NUL character cannot be in an environment'
  if (!value.isWellFormed()) return 'the value is not valid Unicode'
  const bytes = new TextEncoder().encode(value).length
  if (bytes > maxVariableBytes) return `the value has ${bytes} bytes; an environment takes at most ${maxVariableBytes} for one`
  return null
}

const owned: Record<string, string> = {
  PATH: 'the platform sets PATH so that the app’s Node and the tools of its dependencies are found',
  PORT: 'the platform chooses the port and tells the app by PORT',
}

/** Why this name is reserved for the platform; null: not reserved. */
export function ownedName(name: string): string | null {
  if (name.startsWith('SWITCHYARD_')) return 'names that begin with SWITCHYARD_ are the platform’s own'
  return owned[name] ?? null
}

const cautions: [RegExp, string][] = [
  [/^(HOST|HOSTNAME)$/, 'A build sees this value; a running app sees the address that the platform sets.'],
  [/^(HOME|TMPDIR)$/, 'The app gets a directory of its own under this name where it runs as a process; a build sees this value.'],
  [/^LD_/, 'The dynamic linker reads it in every program of the build and the app, package managers and shells included.'],
  [/^NODE_OPTIONS$/, 'Every Node of the build and the app reads it, npm included. A heap size set here replaces the one that fits the memory limit.'],
  [/^NODE_ENV$/, 'Installs and frameworks behave by it; development dependencies are installed whatever it says.'],
]

/** A warning about a valid name that rarely has the expected effect; null: no warning. */
export const nameCaution = (name: string): string | null => cautions.find(([pattern]) => pattern.test(name))?.[1] ?? null
