import type { Pool } from 'pg'
import type { ChangeBus } from '../events/bus'
import type { CheckedHealthEvent } from './reports'

/** Project event kinds about the load-balancer rotation. */
export const healthEventKinds = ['instance.ejected', 'instance.restored'] as const

/** Stores ejections and restorations reported by routers as events of their project; unknown instances are omitted. */
export async function recordHealthEvents(pool: Pool, bus: ChangeBus, events: readonly CheckedHealthEvent[]): Promise<void> {
  const { rows } = await pool.query<{ id: string; teamId: string; projectId: string }>(
    `INSERT INTO "Event" ("teamId", "projectId", "kind", "payload", "createdAt")
     SELECT i."teamId", i."projectId", 'instance.' || r."state", jsonb_build_object('instanceId', i."id", 'reason', r."reason"),
       to_timestamp(r."at" / 1000) AT TIME ZONE 'utc'
     FROM jsonb_to_recordset($1::jsonb) AS r("instanceId" text, "state" text, "reason" text, "at" double precision)
     JOIN "Instance" i ON i."id" = r."instanceId"
     RETURNING "payload" ->> 'instanceId' AS "id", "teamId", "projectId"`,
    [JSON.stringify(events)],
  )
  for (const { id, teamId, projectId } of rows) await bus.publish({ kind: 'instance', id, teamId, projectId })
}
