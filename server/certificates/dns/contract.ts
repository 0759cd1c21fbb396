import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DnsProvider } from './provider'

/** The server against which the contract tests of a DNS provider run; it checks requests as strictly as the real API. */
export interface ContractServer {
  provider(overrides?: { wrongCredentials?: boolean }): DnsProvider
  /** TXT values that the server publishes for a full name. */
  shown(name: string): Promise<string[]>
  /** Name of an existing zone. */
  zone: string
  close(): Promise<void>
}

const signal = () => AbortSignal.timeout(20_000)

export function describeDnsProvider(name: string, start: () => Promise<ContractServer>): void {
  describe(`DNS provider ${name}`, () => {
    let server: ContractServer
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server?.close())
    const record = (host = '') => `_acme-challenge.${host ? `${host}.` : ''}${server.zone}`

    test('a record is shown after present, and gone after cleanup', async () => {
      const provider = server.provider()
      await provider.present(record(), 'value-1', signal())
      expect(await server.shown(record())).toEqual(['value-1'])
      await provider.cleanup(record(), 'value-1', signal())
      expect(await server.shown(record())).toEqual([])
    })

    test('two values of one name stand side by side, and each goes alone', async () => {
      const provider = server.provider()
      await provider.present(record(), 'apex', signal())
      await provider.present(record(), 'wildcard', signal())
      expect((await server.shown(record())).sort()).toEqual(['apex', 'wildcard'])
      await provider.cleanup(record(), 'apex', signal())
      expect(await server.shown(record())).toEqual(['wildcard'])
      await provider.cleanup(record(), 'wildcard', signal())
      expect(await server.shown(record())).toEqual([])
    })

    test('doing it twice is the same as once', async () => {
      const provider = server.provider()
      await provider.present(record('deep.er'), 'again', signal())
      await provider.present(record('deep.er'), 'again', signal())
      expect(await server.shown(record('deep.er'))).toEqual(['again'])
      await provider.cleanup(record('deep.er'), 'again', signal())
      await provider.cleanup(record('deep.er'), 'again', signal())
      expect(await server.shown(record('deep.er'))).toEqual([])
    })

    test('a zone that is not there, or wrong credentials, are errors without a secret in them', async () => {
      await expect(server.provider().present('_acme-challenge.elsewhere.invalid', 'x', signal())).rejects.toMatchObject({ name: 'DnsProviderError' })
      const failure = await server
        .provider({ wrongCredentials: true })
        .present(record(), 'x', signal())
        .then(
          () => null,
          (error: Error) => error,
        )
      expect(failure).toMatchObject({ name: 'DnsProviderError' })
      expect(String(failure?.message)).not.toContain('wrong-secret')
      expect(await server.shown(record())).toEqual([])
    })
  })
}

export const credentials = { good: 'right-secret', bad: 'wrong-secret' }
