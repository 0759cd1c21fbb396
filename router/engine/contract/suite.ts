import { describe } from 'vitest'
import type { EngineFactory } from '../engine'
import { accountContract } from './accounts'
import { faultContract } from './faults'
import { forwardingContract } from './forwarding'
import { gateContract } from './gate'
import { headerContract } from './headers'
import { lifecycleContract } from './lifecycle'
import { smugglingContract } from './smuggling'
import { streamingContract } from './streaming'
import { tlsContract } from './tls'
import { trustedProxyContract } from './trusted-proxies'
import { unusualContract } from './unusual'
import { upgradeContract } from './upgrades'

/** The contract of all engines, independent of their implementation. Run it for every new engine. */
export function engineContract(name: string, createEngine: EngineFactory): void {
  describe(`${name} engine`, () => {
    forwardingContract(createEngine)
    headerContract(createEngine)
    smugglingContract(createEngine)
    streamingContract(createEngine)
    faultContract(createEngine)
    upgradeContract(createEngine)
    lifecycleContract(createEngine)
    gateContract(createEngine)
    accountContract(createEngine)
    tlsContract(createEngine)
    trustedProxyContract(createEngine)
    unusualContract(createEngine)
  })
}
