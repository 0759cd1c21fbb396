import type { KeptFacts } from '../downstream'
import { newRequestId, requestIdBytes } from '../request-id'
import type { RequestHead } from './request-head'

/** What decisions are made from: a decoded head is text already, so nothing has to be kept from being overwritten. */
export class H2Facts implements KeptFacts {
  method = ''
  host = ''
  scheme: 'http' | 'https' = 'https'
  clientIp = ''
  /** The text of the request id, as bytes. */
  readonly id = Buffer.allocUnsafeSlow(requestIdBytes)
  #head: RequestHead | null = null
  #idText: string | null = null

  take(head: RequestHead, scheme: 'http' | 'https', clientIp: string): void {
    this.#head = head
    this.#idText = null
    newRequestId(this.id)
    // A WebSocket is asked for by GET wherever rules look, and so the instance is asked.
    this.method = head.protocol === null ? head.method : 'GET'
    this.host = ''
    this.scheme = scheme
    this.clientIp = clientIp
  }

  get requestId(): string {
    this.#idText ??= this.id.toString('latin1')
    return this.#idText
  }

  get target(): string {
    return this.#head?.path ?? ''
  }

  get authority(): string {
    return this.#head?.authority.toLowerCase() ?? ''
  }

  get path(): string {
    const { target } = this
    const mark = target.indexOf('?')
    return mark === -1 ? target : target.slice(0, mark)
  }

  get query(): string {
    const { target } = this
    const mark = target.indexOf('?')
    return mark === -1 ? '' : target.slice(mark)
  }

  header(name: string): string | undefined {
    const head = this.#head
    if (head === null) return undefined
    if (name === 'host') return head.authority || undefined
    // As the instance gets it: HTTP/2 expresses it with `:protocol`.
    if (name === 'upgrade') return head.protocol ?? undefined
    if (name === 'transfer-encoding') return head.endStream || head.contentLength >= 0 || head.protocol !== null ? undefined : 'chunked'
    const separator = name === 'cookie' ? '; ' : ', '
    let text: string | undefined
    for (const field of head.fields) if (field.name === name) text = text === undefined ? field.value : `${text}${separator}${field.value}`
    return text
  }

  has(name: string): boolean {
    return this.header(name) !== undefined
  }

  detach(): void {}

  movedTo(): void {}

  /** Lets go of the head. */
  drop(): void {
    this.#head = null
  }
}
