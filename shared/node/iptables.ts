import { createHash } from 'node:crypto'
import { isAppError } from '../errors'
import { baseEnv, exec } from './exec'

const deadlineMs = 10_000

export type FirewallState = { ok: true } | { ok: false; reason: string }
export type Family = 4 | 6

export const iptablesOf = (family: Family) => (family === 4 ? 'iptables' : 'ip6tables')

/** Runs an iptables command. @throws Error with the first line of its output. */
export async function iptables(argv: [string, ...string[]], input?: string): Promise<string> {
  const result = await exec(argv, { env: { ...baseEnv }, deadlineMs, ...(input === undefined ? {} : { input }) })
  if (result.code !== 0) throw new Error(`${argv[0]}: ${result.stderr.trim().split('\n')[0] ?? `code ${result.code}`}`)
  return result.stdout
}

/** Converts an error to a firewall state with a message for users. */
export function firewallProblem(what: string, error: unknown): FirewallState {
  const message = isAppError(error) || error instanceof Error ? error.message : String(error)
  return { ok: false, reason: `${what}, because the firewall cannot be set (${message})` }
}

/** Prefix of every chain that Switchyard creates. */
export const chainPrefix = 'SWITCHYARD-'

/** Switchyard's chains in one table, with their rules, and the rules in built-in chains (`OUTPUT …`) that jump to them. */
export interface Rules {
  chains: string[]
  jumps: string[]
  rules: string[]
}

const jumpsTo = (chains: readonly string[], lines: readonly string[]) =>
  lines.filter((line) => !line.startsWith(`-A ${chainPrefix}`) && chains.some((chain) => line.endsWith(`-j ${chain}`)))

/** Input for `iptables-restore --noflush` that creates `wanted`; null: `listing` (of `iptables -S`) shows that it exists. */
export function restoreText(table: string, wanted: Rules, listing: string): string | null {
  const lines = listing.split('\n').map((line) => line.trim())
  // Compare a digest in a comment: iptables prints rules in a normalized form.
  const version = `sy:${createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 12)}`
  const ours = jumpsTo(wanted.chains, lines)
  const stands = (line: string) => {
    const parent = lines.filter((other) => other.startsWith(line.split(' ', 2).join(' ').concat(' ')))
    // An accepting rule before the jump would bypass the chain.
    return line.includes(version) && parent.slice(0, parent.indexOf(line)).every((before) => before.includes(`-j ${chainPrefix}`))
  }
  const count = lines.filter((line) => wanted.chains.some((chain) => line.startsWith(`-A ${chain} `))).length
  if (ours.length === wanted.jumps.length && ours.every(stands) && count === wanted.rules.length) return null
  return [
    `*${table}`,
    ...wanted.chains.map((chain) => `:${chain} - [0:0]`),
    ...wanted.rules.map((rule) => `-A ${rule}`),
    ...ours.map((line) => line.replace('-A', '-D')),
    ...wanted.jumps.map((jump) => `-I ${jump.replace(/ -j /, ` -m comment --comment ${version} -j `)}`),
    'COMMIT\n',
  ].join('\n')
}

/** Input that removes what `restoreText` created; null: nothing of it exists. */
export function removeText(table: string, wanted: Rules, listing: string): string | null {
  const lines = listing.split('\n').map((line) => line.trim())
  const there = wanted.chains.filter((chain) => lines.includes(`-N ${chain}`))
  if (there.length === 0) return null
  return [
    `*${table}`,
    ...jumpsTo(there, lines).map((line) => line.replace('-A', '-D')),
    ...there.map((chain) => `-F ${chain}`),
    ...there.map((chain) => `-X ${chain}`),
    'COMMIT\n',
  ].join('\n')
}
