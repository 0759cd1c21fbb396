import { startTestDns, type TestDns } from '@/test/support/dns'
import { type Pebble, startPebble } from '@/test/support/pebble'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'

export interface DomainPlatform {
  platform: RunningPlatform
  dns: TestDns
  pebble: Pebble
  stop(): Promise<void>
}

/**
 * The platform on the process runtime, with a DNS that can be changed while it runs and a CA that issues for every name there but those
 * it has `refused`.
 */
export async function startDomainPlatform({ refused = [] }: { refused?: string[] } = {}): Promise<DomainPlatform> {
  const dns = await startTestDns()
  const running: { pebble?: Pebble; platform?: RunningPlatform } = {}
  const stop = async () => {
    await running.platform?.stop()
    await running.pebble?.stop()
    await dns.close()
  }
  try {
    const platform = await startPlatform({
      runtime: 'process',
      async env(ports) {
        // It asks the router under the ports visitors use; its own DNS leads every name here.
        const pebble = await startPebble({ httpPort: ports.http, tlsPort: ports.https, blocked: refused })
        running.pebble = pebble
        return {
          DNS_SERVERS: dns.address,
          EDGE_PUBLIC_ADDRESSES: '127.0.0.1',
          EDGE_PUBLIC_HTTP_PORT: String(ports.http),
          EDGE_PUBLIC_HTTPS_PORT: String(ports.https),
          ACME_DIRECTORY: pebble.directory,
          ACME_STAGING_DIRECTORY: 'off',
          ACME_CA_FILE: pebble.caFile,
          EDGE_WORKERS: '2',
        }
      },
    })
    running.platform = platform
    if (!running.pebble) throw new Error('the platform started without its CA')
    return { platform, dns, pebble: running.pebble, stop }
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
}
