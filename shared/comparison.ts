import { z } from 'zod'
import { deploymentSummary } from './views'

const names = z.array(z.string())

const comparedVersion = z.object({
  deployment: deploymentSummary,
  artifact: z.object({ kind: z.enum(['image', 'bundle']), digest: z.string(), sizeBytes: z.number(), removed: z.boolean() }).nullable(),
  /** Time that the build of its artifact took. null: it has made none. */
  buildMs: z.number().nullable(),
})
export type ComparedVersion = z.infer<typeof comparedVersion>

/** What differs between two versions of a project. Values of variables are compared and never shown. */
export const deploymentComparison = z.object({
  /** Where the second version would serve. */
  environment: z.object({ id: z.string(), name: z.string(), url: z.string() }),
  /** The first version: the one named, else what is live in the environment. null: nothing is. */
  from: comparedVersion.nullable(),
  to: comparedVersion,
  /** Runtime variables by name. null: one of the two was never released, so its variables are not known. */
  variables: z.object({ added: names, removed: names, changed: names }).nullable(),
  settings: z.array(z.object({ name: z.string(), from: z.string().nullable(), to: z.string().nullable() })),
  /** Variables that the build wrote into the files of the second version, when it comes from another environment. */
  frozenVariables: z.array(z.object({ name: z.string(), differs: z.boolean().meta({ description: 'The environment has another value, or none.' }) })),
  /** Builds that run in the environment: a rollback or a promotion cancels them. */
  builds: z.array(deploymentSummary),
})
export type DeploymentComparison = z.infer<typeof deploymentComparison>

/** Prefixes of variables that frameworks write into the files they build: Next.js, Vite, Astro and SvelteKit, Create React App, Gatsby, Vue, Expo. */
const frozenPrefixes = ['NEXT_PUBLIC_', 'VITE_', 'PUBLIC_', 'REACT_APP_', 'GATSBY_', 'VUE_APP_', 'EXPO_PUBLIC_']
export const isFrozenByBuild = (name: string): boolean => frozenPrefixes.some((prefix) => name.startsWith(prefix))

/** Differences of two sets of variables, by name. */
export function compareNames(from: Record<string, string>, to: Record<string, string>): { added: string[]; removed: string[]; changed: string[] } {
  const all = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort()
  const has = (values: Record<string, string>, name: string) => Object.hasOwn(values, name)
  return {
    added: all.filter((name) => !has(from, name)),
    removed: all.filter((name) => !has(to, name)),
    changed: all.filter((name) => has(from, name) && has(to, name) && from[name] !== to[name]),
  }
}
