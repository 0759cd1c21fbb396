import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Family, type FirewallState, firewallProblem, iptables, iptablesOf, type Rules, restoreText } from '@/shared/node/iptables'
import { linkLocal, nameservers, privateNetworks, type Reach } from '@/shared/node/reach'

/** Prefix of the interface names of our bridges: one rule covers all of them, even future ones. */
export const bridgePrefix = 'swy-'
const input = 'SWITCHYARD-INPUT'
const forward = 'SWITCHYARD-FORWARD'
const freshForMs = 2_000

const established = '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN'

/**
 * Rules for packets from our bridges: deny this machine, link-local addresses, and private networks outside `reach`. `own`: addresses of this
 * machine. `engineChain`: the engine's chain for custom rules, if it has one.
 */
export function bridgeRules(
  family: Family,
  options: { reach: readonly Reach[]; servers: readonly string[]; own: ReadonlySet<string>; engineChain: boolean },
): Rules {
  const reach = options.reach.filter((one) => one.family === family)
  // Docker's resolver sends its queries from inside the container's network.
  const dns = options.servers.filter((address) => isIP(address) === family).map((address) => ({ network: address, port: 53 }))
  const exactly = (chain: string, { network, port }: { network: string; port: number | null }) =>
    ['tcp', 'udp'].map((protocol) => `${chain} -d ${network} -p ${protocol} -m ${protocol} --dport ${port} -j RETURN`)
  const named = [...dns, ...reach.filter((one) => one.port !== null)]
  const local = named.filter(({ network }) => options.own.has(network.split('/')[0] as string))
  const refuse = `-j REJECT --reject-with ${family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'}`
  return {
    chains: [input, forward],
    jumps: [`INPUT -i ${bridgePrefix}+ -j ${input}`, `${options.engineChain ? 'DOCKER-USER' : 'FORWARD'} -i ${bridgePrefix}+ -j ${forward}`],
    rules: [
      // Responses to the router and to health checks of the host.
      `${input} ${established}`,
      ...local.flatMap((one) => exactly(input, one)),
      `${input} -j DROP`,
      `${forward} ${established}`,
      // The engine's own rules decide about traffic between bridges: it allows traffic within a bridge only.
      `${forward} -o ${bridgePrefix}+ -j RETURN`,
      ...named.flatMap((one) => exactly(forward, one)),
      `${forward} -d ${linkLocal[family]} ${refuse}`,
      ...reach.filter((one) => one.port === null).map(({ network }) => `${forward} -d ${network} -j RETURN`),
      ...privateNetworks[family].map((network) => `${forward} -d ${network} ${refuse}`),
    ],
  }
}

/**
 * Keeps containers from the host and its private networks. Bridges isolate projects from each other, but through its gateway a container reaches
 * every port of the host (control plane, database, other apps). That traffic passes the INPUT chain, which Docker's own chains do not cover.
 */
export class Firewall {
  private state: FirewallState = { ok: false, reason: 'not applied yet' }
  private checkedAt = Number.NEGATIVE_INFINITY
  private running: Promise<FirewallState> | undefined

  constructor(private readonly reach: readonly Reach[]) {}

  /** Adds missing rules. Checks again after two seconds, because engines and firewall tools rewrite these tables. Never throws. */
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
      const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
      // The loopback interface is not reachable from a bridge.
      const own = new Set(interfaces.filter((one) => !one.internal).map((one) => one.address))
      const servers = await nameservers()
      for (const family of interfaces.some((one) => one.family === 'IPv6') ? ([4, 6] as const) : ([4] as const)) {
        const command = iptablesOf(family)
        const listing = await iptables([command, '-w', '5', '-S'])
        const engineChain = listing.includes('-N DOCKER-USER\n')
        const text = restoreText('filter', bridgeRules(family, { reach: this.reach, servers, own, engineChain }), listing)
        if (text !== null) await iptables([`${command}-restore`, '-w', '5', '--noflush'], text)
      }
      this.state = { ok: true }
    } catch (error) {
      this.state = firewallProblem('apps can reach ports of this machine', error)
    }
    return this.state
  }
}
