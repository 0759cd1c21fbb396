import { describe } from 'vitest'
import { accountContract } from './contract/accounts'
import { faultContract } from './contract/faults'
import { forwardingContract } from './contract/forwarding'
import { gateContract } from './contract/gate'
import { headerContract } from './contract/headers'
import { lifecycleContract } from './contract/lifecycle'
import { smugglingContract } from './contract/smuggling'
import { streamingContract } from './contract/streaming'
import { tlsContract } from './contract/tls'
import { unusualContract } from './contract/unusual'
import { upgradeContract } from './contract/upgrades'
import type { EngineFactory } from './engine'

/** What every engine must do, whatever it is made of. A new engine is done when this passes for it too. */
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
    unusualContract(createEngine)
  })
}
