import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { isAppError } from '@/shared/errors'
import { baseEnv, exec } from '@/shared/node/exec'

/** Interfaces of every bridge of ours begin with this: one rule covers them all, before a bridge even exists. */
export const bridgePrefix = 'swy-'
const chain = 'SWITCHYARD-INPUT'
const linkLocal = '169.254.0.0/16'
const deadlineMs = 10_000
const freshForMs = 2_000

export type FirewallState = { ok: true } | { ok: false; reason: string }

/** The chain's rules, in the words `iptables -S` prints them. */
export function chainRules(nameservers: string[]): string[] {
  return [
    // answers to what the host (router, health check) asked
    `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
    // Docker's resolver asks from inside the container's network: a nameserver on this very host has to stay reachable
    ...nameservers.flatMap((address) =>
      ['tcp', 'udp'].map((protocol) => `-A ${chain} -d ${address}/32 -p ${protocol} -m ${protocol} --dport 53 -j RETURN`),
    ),
    `-A ${chain} -j DROP`,
  ]
}

/** What has to change so that `listing` (of `iptables -S`) keeps our bridges from the host. Empty: nothing. */
export function firewallRepairs(listing: string, nameservers: string[]): { chain: boolean; jump: boolean; metadata: boolean } {
  const lines = listing.split('\n').map((line) => line.trim())
  const input = lines.filter((line) => line.startsWith('-A INPUT '))
  const user = lines.includes('-N DOCKER-USER')
  return {
    chain: lines.filter((line) => line.startsWith(`-A ${chain} `)).join('\n') !== chainRules(nameservers).join('\n'),
    // first of all: an accepting rule before it would open the host again
    jump: input[0] !== `-A INPUT -i ${bridgePrefix}+ -j ${chain}`,
    metadata: user && lines.find((line) => line.startsWith('-A DOCKER-USER ')) !== `-A DOCKER-USER -d ${linkLocal} -i ${bridgePrefix}+ -j DROP`,
  }
}

/** Nameservers of this host that are the host itself (not loopback: those the engine asks from outside the container). */
async function localNameservers(): Promise<string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  const own = new Set(
    Object.values(networkInterfaces())
      .flat()
      .filter((address) => address && !address.internal)
      .map((address) => address?.address),
  )
  return [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)].map((match) => match[1] as string).filter((address) => own.has(address))
}

/**
 * Keeps containers from the host. Bridges keep projects apart, but a container reaches every port of the host (control plane, database,
 * other apps) through its gateway; that traffic is INPUT, where Docker's own chains do not look.
 */
export class Firewall {
  private state: FirewallState = { ok: false, reason: 'not applied yet' }
  private checkedAt = Number.NEGATIVE_INFINITY
  private running: Promise<FirewallState> | undefined

  /** Applies what is missing; looked at again after two seconds, because engines and firewall tools rewrite these tables. Never throws. */
  ensure(): Promise<FirewallState> {
    if (performance.now() - this.checkedAt < freshForMs) return Promise.resolve(this.state)
    this.running ??= this.apply().finally(() => {
      this.checkedAt = performance.now()
      this.running = undefined
    })
    return this.running
  }

  private async apply(): Promise<FirewallState> {
    try {
      if (process.getuid?.() !== 0) throw new Error('only root may change the firewall')
      const nameservers = await localNameservers()
      const repairs = firewallRepairs(await iptables(['iptables', '-w', '5', '-S']), nameservers)
      if (repairs.chain)
        await iptables(['iptables-restore', '-w', '5', '--noflush'], `*filter\n:${chain} - [0:0]\n${chainRules(nameservers).join('\n')}\nCOMMIT\n`)
      if (repairs.jump) await moveToTop('INPUT', ['-i', `${bridgePrefix}+`, '-j', chain])
      if (repairs.metadata) await moveToTop('DOCKER-USER', ['-i', `${bridgePrefix}+`, '-d', linkLocal, '-j', 'DROP'])
      this.state = { ok: true }
    } catch (error) {
      const message = isAppError(error) || error instanceof Error ? error.message : String(error)
      this.state = { ok: false, reason: `apps can reach ports of this machine, because the firewall cannot be set (${message})` }
    }
    return this.state
  }
}

async function moveToTop(parent: string, rule: string[]): Promise<void> {
  await iptables(['iptables', '-w', '5', '-I', parent, '1', ...rule])
  // any copy further down is now the second match of the same text: `-D` would take the first, so count them
  const copies = (await iptables(['iptables', '-w', '5', '-S', parent])).split('\n').filter((line) => sameRule(line, parent, rule)).length
  for (let extra = 1; extra < copies; extra++) {
    const lines = (await iptables(['iptables', '-w', '5', '-S', parent])).split('\n').filter((line) => line.startsWith(`-A ${parent} `))
    const last = lines.findLastIndex((line) => sameRule(line, parent, rule))
    if (last > 0) await iptables(['iptables', '-w', '5', '-D', parent, String(last + 1)])
  }
}

/** `iptables -S` prints options in an order of its own. */
function sameRule(line: string, parent: string, rule: string[]): boolean {
  return line.startsWith(`-A ${parent} `) && line.split(' ').slice(2).sort().join(' ') === [...rule].sort().join(' ')
}

async function iptables(argv: [string, ...string[]], input?: string): Promise<string> {
  const result = await exec(argv, { env: { ...baseEnv }, deadlineMs, ...(input === undefined ? {} : { input }) })
  if (result.code !== 0) throw new Error(`${argv[0]}: ${result.stderr.trim().split('\n')[0] ?? `code ${result.code}`}`)
  return result.stdout
}
