import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { type Engine, engineCall } from '@/builder/engine'
import type { BuildLogger, HostEnv } from '@/builder/options'
import { isAppError } from '@/shared/errors'
import { baseEnv, exec } from '@/shared/node/exec'

const deadlineMs = 10_000
const refreshEveryMs = 1_000
const linkLocal = '169.254.0.0/16'
const established = '-m conntrack --ctstate RELATED,ESTABLISHED'

/** Facts that determine the chains. */
export interface BridgeFacts {
  /** Interface of the engine's default bridge. */
  bridge: string
  /** Addresses of other containers on the bridge, which stay unrestricted. */
  others: readonly string[]
  /** Nameservers on this machine. */
  nameservers: readonly string[]
  /** `address:port` of proxies and registries on this machine that builds may reach. */
  allowed: readonly string[]
}

export const chainNames = (installationId: string): { input: string; forward: string } => {
  const id = createHash('sha256').update(installationId).digest('hex').slice(0, 8)
  return { input: `SWITCHYARD-BUILD-${id}`, forward: `SWITCHYARD-BUILDF-${id}` }
}

/** Input for `iptables-restore --noflush` that replaces both chains atomically. */
export function chainText(names: { input: string; forward: string }, facts: BridgeFacts): string {
  const { input, forward } = names
  const others = (chain: string) => facts.others.map((address) => `-A ${chain} -s ${address}/32 -j RETURN`)
  return [
    '*filter',
    `:${input} - [0:0]`,
    `:${forward} - [0:0]`,
    `-A ${input} ${established} -j RETURN`,
    ...others(input),
    ...facts.nameservers.flatMap((address) =>
      ['tcp', 'udp'].map((protocol) => `-A ${input} -d ${address}/32 -p ${protocol} -m ${protocol} --dport 53 -j RETURN`),
    ),
    ...facts.allowed.map((place) => {
      const [address, port] = place.split(':')
      return `-A ${input} -d ${address}/32 -p tcp -m tcp --dport ${port} -j RETURN`
    }),
    `-A ${input} -j DROP`,
    `-A ${forward} ${established} -j RETURN`,
    ...others(forward),
    `-A ${forward} -d ${linkLocal} -j DROP`,
    `-A ${forward} -o ${facts.bridge} -j DROP`,
    'COMMIT',
    '',
  ].join('\n')
}

/**
 * Denies builds on the engine's default bridge (BuildKit supports no other) access to this machine, link-local addresses and other containers.
 * Addresses of build steps are unknown before they run: during a build, all addresses of the bridge are restricted except those of other
 * containers. Nothing remains after the last build.
 */
export class BuildFirewall {
  private readonly names: { input: string; forward: string }
  private builds = 0
  private timer: NodeJS.Timeout | undefined
  private events: { destroy(): void } | null = null
  private applied = ''
  private queue: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly engine: Engine,
    installationId: string,
    private readonly hostEnv: HostEnv,
    private readonly logger: BuildLogger,
  ) {
    this.names = chainNames(installationId)
  }

  /** Starts a restriction. @throws when the firewall cannot be set */
  async begin(): Promise<void> {
    this.builds += 1
    try {
      await this.inTurn(() => (this.applied === '' ? this.open() : Promise.resolve()))
    } catch (error) {
      await this.end()
      throw error
    }
  }

  async end(): Promise<void> {
    this.builds -= 1
    if (this.builds === 0) await this.clear()
  }

  /** Removes the chains, including those of a killed process. */
  clear(): Promise<void> {
    return this.inTurn(async () => {
      if (this.builds > 0) return
      clearInterval(this.timer)
      this.events?.destroy()
      this.events = null
      this.applied = ''
      if (process.getuid?.() === 0)
        await removeChains(this.names).catch((error) => this.logger.warn({ err: error }, 'the firewall of builds is left'))
    })
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work, work)
    this.queue = turn.catch(() => {})
    return turn
  }

  private async open(): Promise<void> {
    if (process.getuid?.() !== 0) throw new Error('only root may change the firewall')
    const facts = await this.facts()
    // Without a default bridge, these builds have no network at all.
    if (facts === null) return
    await removeChains(this.names)
    await this.apply(facts)
    await iptables(['-I', 'INPUT', '1', '-i', facts.bridge, '-j', this.names.input])
    await iptables(['-I', 'DOCKER-USER', '1', '-i', facts.bridge, '-j', this.names.forward])
    await this.followContainers()
  }

  /** Follows container starts, so that another container is not restricted as a build. */
  private async followContainers(): Promise<void> {
    const refresh = () =>
      void this.inTurn(async () => {
        if (this.builds === 0) return
        const facts = await this.facts()
        if (facts) await this.apply(facts)
      }).catch((error) => this.logger.warn({ err: error }, 'the firewall of builds is not up to date'))
    this.timer = setInterval(refresh, refreshEveryMs)
    this.timer.unref()
    const filters = JSON.stringify({ type: ['network'], event: ['connect', 'disconnect'] })
    const events = await engineCall('following the networks', deadlineMs, () => this.engine.getEvents({ filters })).catch(() => null)
    if (!events) return
    events.on('data', refresh)
    events.on('error', () => {})
    this.events = events as unknown as { destroy(): void }
  }

  private async apply(facts: BridgeFacts): Promise<void> {
    const text = chainText(this.names, facts)
    if (text === this.applied) return
    await run(['iptables-restore', '-w', '5', '--noflush'], text)
    this.applied = text
  }

  private async facts(): Promise<BridgeFacts | null> {
    const network = await engineCall('reading the default network', deadlineMs, () => this.engine.getNetwork('bridge').inspect()).catch((error) => {
      if (isAppError(error) && error.code === 'ERR_NOT_FOUND') return null
      throw error
    })
    if (network === null) return null
    if (network.EnableIPv6) throw new Error('the default bridge has IPv6 addresses')
    const filters = { label: ['switchyard.role=build'] }
    const builds = new Set((await engineCall('listing builds', deadlineMs, () => this.engine.listContainers({ filters }))).map(({ Id }) => Id))
    const containers = Object.entries((network.Containers ?? {}) as Record<string, { IPv4Address?: string }>)
    return {
      bridge: network.Options?.['com.docker.network.bridge.name'] ?? 'docker0',
      others: containers
        // The list includes BuildKit's steps, whose names have 25 characters.
        .filter(([id]) => /^[0-9a-f]{64}$/.test(id) && !builds.has(id))
        .map(([, { IPv4Address }]) => (IPv4Address ?? '').split('/')[0] as string)
        .filter((address) => /^[\d.]+$/.test(address))
        .sort(),
      nameservers: await localNameservers(),
      allowed: placesHere(this.hostEnv),
    }
  }
}

const ownAddresses = (): Set<string> =>
  new Set(
    Object.values(networkInterfaces())
      .flat()
      .flatMap((address) => (address && !address.internal && address.family === 'IPv4' ? [address.address] : [])),
  )

async function localNameservers(): Promise<string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  const own = ownAddresses()
  return [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)].map((match) => match[1] as string).filter((address) => own.has(address))
}

function placesHere(hostEnv: HostEnv): string[] {
  const own = ownAddresses()
  const urls = Object.values(hostEnv).flatMap((value) => (URL.canParse(value) ? [new URL(value)] : []))
  const here = urls.filter((url) => own.has(url.hostname)).map((url) => `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`)
  return [...new Set(here)].sort()
}

async function removeChains({ input, forward }: { input: string; forward: string }): Promise<void> {
  const rules = (await iptables(['-S'])).split('\n')
  for (const rule of rules.filter((line) => line.startsWith('-A ') && (line.endsWith(`-j ${input}`) || line.endsWith(`-j ${forward}`))))
    await iptables(['-D', ...rule.split(' ').slice(1)])
  for (const chain of [input, forward])
    if (rules.includes(`-N ${chain}`)) {
      await iptables(['-F', chain])
      await iptables(['-X', chain])
    }
}

const iptables = (words: string[]): Promise<string> => run(['iptables', '-w', '5', ...words])

async function run(argv: [string, ...string[]], input?: string): Promise<string> {
  const result = await exec(argv, { env: { ...baseEnv }, deadlineMs, ...(input === undefined ? {} : { input }) })
  if (result.code !== 0) throw new Error(`${argv[0]}: ${result.stderr.trim().split('\n')[0] ?? `code ${result.code}`}`)
  return result.stdout
}
