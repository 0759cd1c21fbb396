import { connect } from 'node:net'
import { pinHost } from './guard'
import { challengeTtl, type DnsProvider, DnsProviderError, zoneCandidates } from './provider'
import { encodeUpdate, type TsigKey, updateError, verifyAnswer } from './update-message'

export interface Rfc2136Credentials {
  /** Host or address of the primary server. */
  server: string
  port: number
  /** The zone, if it cannot be detected. */
  zone?: string | undefined
  keyName: string
  /** Base64, as in BIND's key files. */
  keySecret: string
  allowPrivateNetwork: boolean
}

const presetDeadlineMs = 15_000
/** RCODEs for a wrong zone: NOTAUTH and NOTZONE; BIND answers REFUSED for an unknown zone. */
const notThisZone = new Set([5, 9, 10])

/** Dynamic updates (RFC 2136), signed with TSIG HMAC-SHA256 (RFC 8945), over TCP. */
export function createRfc2136(credentials: Rfc2136Credentials, { deadlineMs = presetDeadlineMs } = {}): DnsProvider {
  const key: TsigKey = { name: credentials.keyName, secret: Buffer.from(credentials.keySecret, 'base64') }
  async function update(action: 'add' | 'delete', name: string, value: string, signal: AbortSignal): Promise<void> {
    const ip = await pinHost(credentials.server, credentials.allowPrivateNetwork)
    const zones = credentials.zone ? [credentials.zone] : zoneCandidates(name)
    let code = 0
    for (const zone of zones) {
      const message = encodeUpdate({ zone, name, value, action, ttl: challengeTtl }, key, new Date())
      const answer = await exchange(ip, credentials.port, message.bytes, deadlineMs, signal)
      code = verifyAnswer(answer, message, key)
      if (code === 0) return
      if (!notThisZone.has(code)) break
    }
    throw new DnsProviderError(`the name server ${credentials.server} refused the update of ${name}: ${updateError(code)}`)
  }
  return {
    present: (name, value, signal) => update('add', name, value, signal),
    cleanup: (name, value, signal) => update('delete', name, value, signal),
  }
}

/** Sends a message and returns the answer over TCP; a two-byte length precedes each (RFC 1035 §4.2.2). */
function exchange(host: string, port: number, message: Buffer, deadlineMs: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    const end = (error: unknown, answer?: Buffer) => {
      clearTimeout(timer)
      socket.destroy()
      signal.removeEventListener('abort', onAbort)
      if (answer) resolve(answer)
      else reject(error)
    }
    const onAbort = () => end(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    // A deadline for the whole answer: a server that sends a byte now and then must not block an order slot.
    const timer = setTimeout(() => end(new DnsProviderError(`the name server ${host} does not answer`)), deadlineMs)
    socket.on('error', (cause) => end(new DnsProviderError(`the name server ${host} does not answer`, cause)))
    socket.on('close', () => end(new DnsProviderError(`the name server ${host} closed the connection`)))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2) return
      const length = received.readUInt16BE(0)
      if (received.length >= 2 + length) end(null, received.subarray(2, 2 + length))
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    socket.write(Buffer.concat([length, message]))
  })
}
