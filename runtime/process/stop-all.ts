import { mapConcurrent } from '../pool'
import { firewallOfApps, removeRemains } from './driver'
import { layout } from './layout'
import { endInstance, endStrays } from './members'
import { listRecords } from './record'

/** Stops every app of the process driver below `home`, from the records on disk: used by the supervisor when the control process has ended. */
export async function stopAllProcesses(home: string, graceMs = 5_000): Promise<void> {
  const records = (await listRecords(layout(home))).filter((record) => record.stoppedAt === null)
  const failures: unknown[] = []
  await mapConcurrent(records, 32, async (record) => {
    try {
      await endInstance(record, graceMs)
      await removeRemains(home, record)
    } catch (error) {
      failures.push(error)
    }
  })
  const users = new Map(records.map((record) => [record.uid, record.owner.installationId]))
  for (const [uid, installationId] of users) await endStrays(layout(home), installationId, uid)
  for (const installationId of new Set(users.values())) await firewallOfApps(installationId, []).remove()
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} apps could not be stopped`)
}
