import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Listener } from './driver'

/** State of a listening socket in /proc/net/tcp. */
const listening = '0A'
/** Docker's DNS resolver within a container. */
const engineResolver = '127.0.0.11'

/** Prefix of an IPv4 address in an IPv6 socket. */
const mapped = Buffer.from('00000000000000000000ffff', 'hex')

interface TableRow extends Listener {
  inode: string
}

/**
 * Parses /proc/<pid>/net/tcp or tcp6, listening sockets only. Addresses are 32-bit words in the byte order of the machine, which is
 * little-endian.
 */
export function parseSocketTable(text: string): TableRow[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/)
      const [address = '', port = ''] = (fields[1] ?? '').split(':')
      if (fields[3] !== listening || port === '') return []
      return [{ address: addressOf(address), port: Number.parseInt(port, 16), inode: fields[9] ?? '' }]
    })
}

function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16))
  if (bytes.subarray(0, 12).equals(mapped)) return bytes.subarray(12).join('.')
  return URL.parse(`http://[${groups.join(':')}]`)?.hostname.slice(1, -1) ?? groups.join(':')
}

const tablesOf = (pid: number): Promise<TableRow[]> =>
  Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').then(parseSocketTable, () => []))).then((rows) =>
    rows.flat(),
  )

/** Listening sockets in the network namespace of a process, for an instance with a namespace of its own. */
export async function listenersOfNamespace(pid: number): Promise<Listener[]> {
  return (await tablesOf(pid)).filter(({ address }) => address !== engineResolver).map(({ address, port }) => ({ address, port }))
}

/** Listening sockets of these processes in a shared namespace: a socket belongs to a process that has a descriptor of it. */
export async function listenersOfProcesses(pids: readonly number[]): Promise<Listener[]> {
  const first = pids[0]
  if (first === undefined) return []
  const [rows, owned] = await Promise.all([tablesOf(first), Promise.all(pids.map(socketsOf))])
  const inodes = new Set(owned.flat())
  return rows.filter(({ inode }) => inodes.has(inode)).map(({ address, port }) => ({ address, port }))
}

async function socketsOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const links = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')))
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

const shown = ({ address, port }: Listener): string => `${address.includes(':') ? `[${address}]` : address}:${port}`
const everywhere = new Set(['0.0.0.0', '::'])

/** A sentence for users about an instance that listens at the wrong address; null: it listens at `wanted`, or unknown. */
export function describeListeners(listeners: readonly Listener[] | null, wanted: Listener): string | null {
  if (listeners === null) return null
  if (listeners.length === 0) return 'listens on no port'
  const there = listeners.filter(({ port }) => port === wanted.port)
  if (there.some(({ address }) => everywhere.has(address) || address === wanted.address)) return null
  if (there.length > 0)
    return `listens on ${there.map(shown).join(' and ')} only, and is asked at ${shown(wanted)}: it must listen on $HOST or on 0.0.0.0`
  const ports = [...new Set(listeners.map(({ port }) => port))].sort((a, b) => a - b)
  return `listens on ${ports.join(' and ')}, not on $PORT (${wanted.port})`
}
