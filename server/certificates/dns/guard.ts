import { pinHost as pin } from '../../outbound/pinned-request'
import { DnsProviderError } from './provider'

/** Like `pinHost` of server/outbound, with errors for DNS hosts. @throws DnsProviderError */
export async function pinHost(hostname: string, allowPrivateNetwork: boolean): Promise<string> {
  try {
    return (await pin(hostname, allowPrivateNetwork)).ip
  } catch (cause) {
    throw new DnsProviderError(cause instanceof Error ? cause.message : `the host ${hostname} was not found`, cause)
  }
}
