import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { chainPrefix, type Family, type FirewallState, firewallProblem, iptables, iptablesOf, type Rules, removeText, restoreText } from './iptables'
import { linkLocal, nameservers, privateNetworks, type Reach } from './reach'

/** Ranges of user ids: of projects in the process runtime, and of builds on the host. They do not overlap accounts, subordinate ids or each other. */
export const projectUsers = { first: 20_000, last: 59_999 }
export const buildUsers = { first: 1_610_000, last: 1_809_999 }

export interface UserFirewallOptions {
  /** Distinguishes the rules of several installations on one machine, and those of apps from those of builds. */
  name: string
  users: { first: number; last: number }
  reach: readonly Reach[]
}

const marks = 0x5a00_0000
const markOf = (uid: number) => `0x${(marks + uid).toString(16)}`
const synOnly = '--tcp-flags FIN,SYN,RST,ACK SYN'

/**
 * Firewall rules for packets of these users. For a connection to this machine the response is checked: the SYN carries the user as a mark, the
 * kernel copies the mark to the SYN-ACK (`tcp_fwmark_accept`), and a SYN-ACK from a socket of another user is dropped. Thus an app reaches only
 * listeners of its own user, without a list of ports and without connection tracking. A SYN-ACK to another machine is dropped too: only routers
 * serve visitors.
 */
export function userRules(family: Family, options: UserFirewallOptions, uids: readonly number[], servers: readonly string[]) {
  const chain = (kind: string) => `${chainPrefix}${createHash('sha256').update(options.name).digest('hex').slice(0, 8)}-${kind}`
  const [own, user, out, mark] = [chain('ANSWER'), chain('USER'), chain('OUT'), chain('MARK')] as [string, string, string, string]
  const range = `--uid-owner ${options.users.first}-${options.users.last}`
  const reach = options.reach.filter((one) => one.family === family)
  const local = reach.filter((one) => one.port !== null)
  const dns = servers.filter((address) => isIP(address) === family)
  const exactly = (protocol: string, address: string, port: number | null) => `-d ${address} -p ${protocol} -m ${protocol} --dport ${port} -j RETURN`
  const refuse = `-j REJECT --reject-with ${family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'}`
  const allowed = [...dns.map((address) => ({ network: address, port: 53 })), ...local]
  const filter: Rules = {
    chains: [own, user, out],
    jumps: [`OUTPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK -j ${own}`, `OUTPUT -m owner ${range} -j ${user}`],
    rules: [
      `${own} -m mark ! --mark 0x${marks.toString(16)}/0xff000000 -m owner ! ${range} -j RETURN`,
      ...uids.flatMap((uid) => [
        `${own} -m mark --mark ${markOf(uid)} -m owner ! --uid-owner ${uid} -j DROP`,
        `${own} ! -o lo -m owner --uid-owner ${uid} -j DROP`,
      ]),
      `${user} -p tcp -m tcp ! ${synOnly} -j RETURN`,
      ...uids.map((uid) => `${user} -m owner --uid-owner ${uid} -j ${out}`),
      ...allowed.flatMap(({ network, port }) => ['tcp', 'udp'].map((protocol) => `${out} ${exactly(protocol, network, port)}`)),
      `${out} -o lo -p tcp -j RETURN`,
      `${out} -o lo -j REJECT`,
      `${out} -d ${linkLocal[family]} ${refuse}`,
      ...reach.filter((one) => one.port === null).map(({ network }) => `${out} -d ${network} -j RETURN`),
      ...privateNetworks[family].map((network) => `${out} -d ${network} ${refuse}`),
    ],
  }
  const mangle: Rules = {
    chains: [mark],
    jumps: [`OUTPUT -o lo -p tcp -m tcp ${synOnly} -m owner ${range} -j ${mark}`],
    rules: [
      ...allowed.map(({ network, port }) => `${mark} ${exactly('tcp', network, port)}`),
      ...uids.map((uid) => `${mark} -m owner --uid-owner ${uid} -j MARK --set-mark ${markOf(uid)}`),
    ],
  }
  return { filter, mangle }
}

/** Denies users of projects or builds access to this machine, except to their own listeners. */
export class UserFirewall {
  private state: FirewallState = { ok: false, reason: 'not applied yet' }
  private appliedKey: string | null = null
  private checkedAt = Number.NEGATIVE_INFINITY
  private queue: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: UserFirewallOptions) {}

  /**
   * Resolves when the rules for exactly these users are in place. Verifies them again if the last check is older than `freshForMs`, because
   * other tools rewrite these tables. Never throws.
   */
  ensure(uids: readonly number[], freshForMs = 60_000): Promise<FirewallState> {
    return this.inTurn(async () => {
      const sorted = [...new Set(uids)].sort((a, b) => a - b)
      const servers = await nameservers()
      const key = JSON.stringify([sorted, servers])
      if (key === this.appliedKey && performance.now() - this.checkedAt < freshForMs) return this.state
      try {
        if (process.getuid?.() !== 0) throw new Error('only root may change the firewall')
        await writeFile('/proc/sys/net/ipv4/tcp_fwmark_accept', '1')
        await this.each(sorted, servers, restoreText)
        this.state = { ok: true }
      } catch (error) {
        this.state = firewallProblem('apps and builds can reach ports of this machine and of each other', error)
      }
      this.appliedKey = key
      this.checkedAt = performance.now()
      return this.state
    })
  }

  /** Removes what `ensure` created. Never throws. */
  remove(): Promise<void> {
    return this.inTurn(async () => {
      this.appliedKey = null
      if (process.getuid?.() === 0) await this.each([], [], removeText).catch(() => {})
    })
  }

  private async each(uids: number[], servers: string[], textOf: (table: string, rules: Rules, listing: string) => string | null): Promise<void> {
    for (const family of await families()) {
      const wanted = userRules(family, this.options, uids, servers)
      const command = iptablesOf(family)
      for (const table of ['mangle', 'filter'] as const) {
        const text = textOf(table, wanted[table], await iptables([command, '-w', '5', '-t', table, '-S']))
        if (text !== null) await iptables([`${command}-restore`, '-w', '5', '--noflush'], text)
      }
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work)
    this.queue = turn.catch(() => {})
    return turn
  }
}

/** Machines without an IPv6 address need no IPv6 rules. */
async function families(): Promise<Family[]> {
  const addresses = await readFile('/proc/net/if_inet6', 'utf8').catch(() => '')
  return addresses.trim() === '' ? [4] : [4, 6]
}
