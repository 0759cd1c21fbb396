import { BlockList, isIP } from 'node:net'
import { plainAddress } from '@/shared/node/trusted-proxies'

/** Maximum cached lookups per list: there may be thousands of lists, and an IPv6 network has practically unlimited addresses. */
const rememberedVerdicts = 256

/** Addresses and CIDR ranges; recent lookups are cached. */
export class AddressList {
  readonly #list = new BlockList()
  readonly #verdicts = new Map<string, boolean>()
  /** Entries that are not addresses: they match no client. */
  readonly problems: string[] = []

  constructor(entries: readonly string[]) {
    for (const entry of entries) if (!this.#add(entry.trim())) this.problems.push(entry)
  }

  has(address: string): boolean {
    const known = this.#verdicts.get(address)
    if (known !== undefined) return known
    const plain = plainAddress(address)
    const family = isIP(plain)
    const verdict = family !== 0 && this.#list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
    if (this.#verdicts.size >= rememberedVerdicts) this.#verdicts.clear()
    this.#verdicts.set(address, verdict)
    return verdict
  }

  #add(entry: string): boolean {
    const [address = '', bits, ...rest] = entry.split('/')
    const family = isIP(address)
    if (family === 0 || rest.length > 0) return false
    const type = family === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) {
      this.#list.addAddress(address, type)
      return true
    }
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) return false
    this.#list.addSubnet(address, Number(bits), type)
    return true
  }
}

/** The key by which limits identify a visitor: an IPv4 address, or the /64 prefix of a household or machine (RFC 6177). */
export function visitorOf(address: string): string {
  const plain = plainAddress(address)
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  // A dotted IPv4 suffix counts as two groups.
  const groups = (list: string[]) => list.length + (list.at(-1)?.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - groups(before) - groups(after))).fill('0')
  return `${[...before, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
