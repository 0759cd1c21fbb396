import { createLocalStore } from '@/storage/local'
import type { InstanceSpec } from '../driver'
import { ProcessDriver } from '../process/driver'

/** A separate control process to be killed by tests: `tsx owner-process.ts <home> <spec>`. Starts the instance, prints its address and stays. */
const [home, spec] = process.argv.slice(2) as [string, string]
const wanted = JSON.parse(spec) as InstanceSpec
const driver = await ProcessDriver.create({
  installationId: wanted.owner.installationId,
  home,
  storage: createLocalStore(`${home}/storage`),
  nodeBinary: process.execPath,
  logger: { info() {}, warn() {} },
})
const instance = await driver.start(wanted)
process.stdout.write(`${JSON.stringify(instance.address)}\n`)
setInterval(() => {}, 60_000)
