import type { KeptFacts } from '../downstream'
import type { Visitor } from '../headers/visitor'
import { newRequestId, requestIdBytes } from '../request-id'
import type { RequestHead } from './request-head'

/** Request facts for decisions. A decoded HTTP/2 head is already text, so no bytes have to be copied before the buffer is reused. */
export class H2Facts implements KeptFacts {
  method = ''
  host = ''
  /** null: no request yet. */
  visitor: Visitor | null = null
  /** The text of the request id, as bytes. */
  readonly id = Buffer.allocUnsafeSlow(requestIdBytes)
  #head: RequestHead | null = null
  #idText: string | null = null

  take(head: RequestHead, visitor: Visitor): void {
    this.#head = head
    this.#idText = null
    newRequestId(this.id)
    // Rules and instances see a WebSocket request as GET, as in HTTP/1.1.
    this.method = head.protocol === null ? head.method : 'GET'
    this.host = ''
    this.visitor = visitor
  }

  get scheme(): 'http' | 'https' {
    return this.visitor?.scheme ?? 'https'
  }

  get clientIp(): string {
    return this.visitor?.ip ?? ''
  }

  get forwardedFor(): string {
    return this.visitor?.forwardedFor ?? ''
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
    // The value that the instance receives: HTTP/2 expresses the upgrade with `:protocol`.
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

  /** Releases the head. */
  drop(): void {
    this.#head = null
  }
}
