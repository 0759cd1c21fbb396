import { forwardedChain, forwardedScheme, type TrustedProxies } from '@/shared/node/trusted-proxies'

/** The address of a client connection, from the kernel or the PROXY protocol. */
export interface ClientAddress {
  ip: string
  /** Port the client connected to. */
  localPort: number
  secure: boolean
}

/** What a request's rules, records and instance learn about its visitor. */
export interface Visitor {
  ip: string
  scheme: 'http' | 'https'
  /** X-Forwarded-For for the instance: the visitor, then the trusted proxies that the request passed. */
  forwardedFor: string
  /** X-Forwarded-Port for the instance when Host names no port. */
  port: string
}

/** The visitor of a connection that no trusted proxy opened: its client. */
export function directVisitor({ ip, localPort, secure }: ClientAddress): Visitor {
  return { ip, scheme: secure ? 'https' : 'http', forwardedFor: ip, port: String(localPort) }
}

/** The visitor of a request on a trusted proxy's connection. `header` reads a field of the request by its lower-case name. */
export function visitorBehind(proxy: ClientAddress, trusts: TrustedProxies, header: (name: string) => string | undefined): Visitor {
  const chain = forwardedChain(proxy.ip, header('x-forwarded-for'), trusts)
  const claimed = forwardedScheme(header('x-forwarded-proto'))
  const scheme = claimed ?? (proxy.secure ? 'https' : 'http')
  const port = header('x-forwarded-port') ?? ''
  const usualPort = scheme === 'https' ? '443' : '80'
  return {
    ip: chain[0] ?? proxy.ip,
    scheme,
    forwardedFor: chain.join(', '),
    port: /^[1-9]\d{0,4}$/.test(port) ? port : claimed === null ? String(proxy.localPort) : usualPort,
  }
}
