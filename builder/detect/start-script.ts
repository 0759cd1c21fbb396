import type { NodeStart } from './detection'
import type { App } from './provider'

export interface FoundStart extends NodeStart {
  evidence: { file: string; found: string }[]
}

const maxHops = 5

/** Follows `npm run serve` and the like to the script they mean, their `pre` hooks kept: npm in between swallows signals. */
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

/** The person's start command, else the start script. npm's own variables that apps read are set as npm would. */
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
