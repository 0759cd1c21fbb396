import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  streamDecode,
  streamEncode,
} from 'dns-packet'

/** What a name answers instead of records. */
export type DnsFault = 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' | 'silence'
/** Values by type: addresses, names, TXT strings, CAA as `0 issue "ca.example"`. */
export type DnsEntry = Partial<Record<'A' | 'AAAA' | 'CNAME' | 'NS' | 'TXT' | 'CAA', string[]>>

export interface TestDns {
  /** `127.0.0.1:port`, UDP and TCP. */
  address: string
  port: number
  /** Replaces what a name answers, at once. Names that are not set do not exist. `*.name` answers for one label below. */
  set(name: string, entry: DnsEntry | DnsFault): void
  /** Everything of a name to one type only: the rest of its types as they are. */
  fault(name: string, type: string, fault: DnsFault | null): void
  remove(name: string): void
  /** `name type` of every question so far. */
  asked: string[]
  close(): Promise<void>
}

const rcodes: Record<string, number> = { NXDOMAIN: 3, SERVFAIL: 2, REFUSED: 5 }
const maxAliases = 8

/** A name server with one zone that can be changed while it runs: for split horizons, as a resolver, and as a zone's own server. */
export async function startTestDns(entries: Record<string, DnsEntry | DnsFault> = {}): Promise<TestDns> {
  const zone = new Map<string, DnsEntry | DnsFault>()
  const faults = new Map<string, DnsFault>()
  const asked: string[] = []
  const set = (name: string, entry: DnsEntry | DnsFault) => void zone.set(name.toLowerCase(), entry)
  for (const [name, entry] of Object.entries(entries)) set(name, entry)
  const reply = (query: Packet): Packet | null => {
    const question = query.questions?.[0]
    if (!question) return null
    asked.push(`${question.name.toLowerCase()} ${question.type}`)
    return answer(zone, faults, query, question)
  }
  const udp = createSocket('udp4')
  udp.on('message', (message, peer) => {
    const packet = reply(decode(message))
    if (packet) udp.send(encode(packet), peer.port, peer.address)
  })
  const open = new Set<Socket>()
  const tcp = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
    let received = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return
      const packet = reply(streamDecode(received))
      if (packet) socket.end(streamEncode(packet))
    })
  })
  await new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  await new Promise<void>((resolve, reject) => udp.once('error', reject).bind(port, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${port}`,
    port,
    set,
    fault(name, type, fault) {
      if (fault) faults.set(`${name} ${type}`, fault)
      else faults.delete(`${name} ${type}`)
    },
    remove: (name) => void zone.delete(name.toLowerCase()),
    asked,
    async close() {
      for (const socket of open) socket.destroy()
      await Promise.all([new Promise((resolve) => tcp.close(resolve)), new Promise<void>((resolve) => udp.close(resolve))])
    },
  }
}

function find(zone: Map<string, DnsEntry | DnsFault>, name: string): DnsEntry | DnsFault | undefined {
  const own = zone.get(name) ?? zone.get(`*${name.slice(name.indexOf('.'))}`)
  if (own) return own
  // An empty non-terminal exists, without records (RFC 8020).
  return [...zone.keys()].some((other) => other.endsWith(`.${name}`)) ? {} : undefined
}

function answer(zone: Map<string, DnsEntry | DnsFault>, faults: Map<string, DnsFault>, query: Packet, question: Question): Packet | null {
  const base: Packet = { type: 'response', id: query.id ?? 0, questions: [question] }
  const flags = RECURSION_AVAILABLE | AUTHORITATIVE_ANSWER
  const answers: Answer[] = []
  let name = question.name.toLowerCase()
  for (let depth = 0; depth < maxAliases; depth++) {
    const entry = faults.get(`${name} ${question.type}`) ?? find(zone, name) ?? 'NXDOMAIN'
    if (entry === 'silence') return null
    if (typeof entry === 'string') return { ...base, answers, flags: flags | (rcodes[entry] ?? 2) }
    const [alias] = entry.CNAME ?? []
    if (!alias || question.type === 'CNAME') {
      answers.push(...records(name, question.type, entry))
      break
    }
    answers.push({ type: 'CNAME', name, ttl: 1, data: alias })
    name = alias.toLowerCase()
  }
  return { ...base, answers, flags }
}

function records(name: string, type: string, entry: DnsEntry): Answer[] {
  const values = entry[type as keyof DnsEntry] ?? []
  return values.map((value): Answer => {
    if (type === 'CAA') {
      const [, flags = '0', tag = 'issue', quoted = ''] = /^(\d+) (\S+) "(.*)"$/.exec(value) ?? []
      return { type: 'CAA', name, ttl: 1, data: { flags: Number(flags), tag: tag as 'issue', value: quoted, issuerCritical: Number(flags) === 128 } }
    }
    return { type, name, ttl: 1, data: value } as Answer
  })
}
