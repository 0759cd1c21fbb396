import type { NodeStart } from './detection'
import type { App } from './provider'

export interface FoundStart extends NodeStart {
  evidence: { file: string; found: string }[]
}

const maxHops = 5

/** Follows `npm run serve` and the like to the script they mean: npm in between swallows signals. */
export function resolveScript(scripts: Record<string, string>, name: string): string | null {
  let current = name
  const hooks: string[] = []
  for (let hop = 0; hop < maxHops; hop += 1) {
    const script = scripts[current]?.trim()
    if (script === undefined || script === '') return hop === 0 ? null : (scripts[name] ?? null)
    const hook = scripts[`pre${current}`]?.trim()
    if (hook) hooks.push(hook)
    const next = /^(?:npm run|npm run-script|pnpm run|pnpm|yarn run|yarn)\s+([\w:.-]+)$/.exec(script)?.[1]
    if (next === undefined || scripts[next] === undefined || next === current) return [...hooks.map((text) => `{ ${text}\n}`), script].join(' && ')
    current = next
  }
  return scripts[name] ?? null
}

/** The person's start command, else the start script. npm's own variables that apps read are set as npm would. */
export function startOf(app: App): FoundStart | null {
  const { packageJson, settings } = app
  const env: Record<string, string> = {}
  if (packageJson?.name) env.npm_package_name = packageJson.name
  if (packageJson?.version) env.npm_package_version = packageJson.version
  if (settings.startCommand !== null) return { command: settings.startCommand, entry: null, env, evidence: [] }
  const script = resolveScript(packageJson?.scripts ?? {}, 'start')
  if (script === null) return null
  return { command: script, entry: null, env, evidence: [{ file: 'package.json', found: `start script: ${script.slice(0, 120)}` }] }
}
