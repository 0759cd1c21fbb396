import type { Pool } from 'pg'
import { isRefusedForGood } from './refused'
import type { CheckedLine } from './reports'

/** Maximum lines waiting for the database; the oldest are dropped first. */
const maxWaiting = 5_000
const batchLines = 1_000

const insert = `
  INSERT INTO "AccessLine"
    ("at", "teamId", "projectId", "deploymentId", "instanceId", "requestId", "host", "method", "target", "status", "durationMs", "detail")
  SELECT to_timestamp(r."at" / 1000) AT TIME ZONE 'utc', p."teamId", p."id", r."deploymentId", r."instanceId", r."requestId", r."host", r."method",
    r."target", r."status", r."durationMs", r."detail"
  FROM jsonb_to_recordset($1::jsonb) AS r("place" int, "at" double precision, "projectId" text, "deploymentId" text, "instanceId" text, "requestId" text,
    "host" text, "method" text, "target" text, "status" int, "durationMs" double precision, "detail" jsonb)
  JOIN "Project" p ON p."id" = r."projectId"
  ORDER BY r."place"`

// Keep the order of arrival: rounded times of one router's lines may be equal or even out of order.
function rowOf(line: CheckedLine, place: number) {
  const { at, projectId, deploymentId, instanceId, requestId, host, method, target, status, durationMs, ...detail } = line
  return { place, at, projectId, deploymentId, instanceId, requestId, host, method, target, status, durationMs, detail }
}

/** Buffers access-log lines for the database. Live views are notified after the lines are stored. */
export class LineStore {
  readonly #pool: Pool
  #waiting: CheckedLine[] = []
  lost = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  add(lines: readonly CheckedLine[]): void {
    for (const line of lines) if (line.projectId !== null) this.#waiting.push(line)
    const surplus = this.#waiting.length - maxWaiting
    if (surplus <= 0) return
    this.#waiting.splice(0, surplus)
    this.lost += surplus
  }

  /**
   * Writes the waiting lines and returns the projects with new lines. Lines that could not be written stay buffered. @throws the database
   * error
   */
  async flush(): Promise<Set<string>> {
    const projects = new Set<string>()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchLines)
      try {
        await this.#pool.query(insert, [JSON.stringify(batch.map(rowOf))])
      } catch (error) {
        if (isRefusedForGood(error)) {
          this.lost += batch.length
          continue
        }
        this.#waiting.unshift(...batch)
        throw error
      }
      for (const { projectId } of batch) if (projectId !== null) projects.add(projectId)
    }
    return projects
  }
}
