import type { NodeStart } from './detection'
import type { App } from './provider'

export interface FoundStart extends NodeStart {
  evidence: { file: string; found: string }[]
}

const maxHops = 5

/** Resolves `npm run serve` and similar commands to the script, including its `pre` hooks: npm as a parent process does not forward signals. */
export function resolveScript(scripts: Record<string, string>, name: string): { before: string[]; command: string } | null {
  const before: string[] = []
  let current = name
  for (let hop = 0; hop < maxHops; hop += 1) {
    const script = scripts[current]?.trim()
    if (!script) return null
    const hook = scripts[`pre${current}`]?.trim()
    if (hook) before.push(hook)
    const next = /^(?:npm run|npm run-script|pnpm run|pnpm|yarn run|yarn)\s+([\w:.-]+)$/.exec(script)?.[1]
    if (next === undefined || scripts[next] === undefined) return { before, command: script }
    current = next
  }
  return null
}

/** The start command of the settings, else the start script, with the npm variables that apps read. */
export function startOf(app: App): FoundStart | null {
  const { packageJson, settings } = app
  const env: Record<string, string> = {}
  if (packageJson?.name) env.npm_package_name = packageJson.name
  if (packageJson?.version) env.npm_package_version = packageJson.version
  if (settings.startCommand !== null) return { before: [], command: settings.startCommand, entry: null, env, evidence: [] }
  const script = resolveScript(packageJson?.scripts ?? {}, 'start')
  if (script === null) return null
  return { ...script, entry: null, env, evidence: [{ file: 'package.json', found: `start script: ${script.command.slice(0, 120)}` }] }
}
