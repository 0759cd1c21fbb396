import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { Runtime } from '@/runtime/driver'
import { lineMask } from '@/runtime/log-text'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { createMask, type Mask } from '@/shared/node/mask'
import { createLogWriter, type LogWriter } from '../deployments/log-writer'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'

/** Copies the output of running apps into the database, so that logs outlive the containers. */
export interface LogCollector {
  /** Starts or resumes collecting an instance's output; no effect when already collecting. */
  follow(instance: Instance): void
  /** Whether collecting from any instance has failed since the last call. */
  hasLost(): boolean
  /** Resolves when the last output of an exited instance is stored. */
  finish(instanceId: string): Promise<void>
  /** Writes a line of the platform to the log of the instance's deployment. */
  note(instance: Instance, text: string): void
  stop(): Promise<void>
}

interface Following {
  deploymentId: string
  stop: AbortController
  ended: Promise<void>
}

/** Error output of a denied file write in Node and other runtimes; excludes EACCES from binding to a port. */
export const deniedWrite = /\bEROFS\b|Read-only file system|(?<!\b(?:listen|bind|connect) )\bEACCES\b/i
export const readOnlyHint =
  'A release is read-only. Write to $TMPDIR (/tmp) what may go with the instance, and to a database or an object store what must stay. README: "What an app can write".'
const saveEveryMs = 2_000
const finishDeadlineMs = 3_000
/** Sustained lines per second per instance; excess lines are counted, not stored. */
const linesPerSecond = 500
const burstLines = 5_000
/** Lines of an instance in memory, read but not stored yet. */
const maxHeldLines = 2_000

export function createLogCollector(deps: {
  prisma: PrismaClient
  pool: Pool
  runtime: Runtime
  secrets: Pick<Secrets, 'open'>
  bus: ChangeBus
  logger: Logger
}): LogCollector {
  const following = new Map<string, Following>()
  const stopping = new AbortController()
  let lost = false
  const writerOf = (instance: Instance, mask: Mask) =>
    createLogWriter({
      ...deps,
      mask,
      stop: stopping.signal,
      ids: { teamId: instance.teamId, projectId: instance.projectId, deploymentId: instance.deploymentId, instanceId: instance.id },
    })

  /** Mask for the values of the variables that the instance was started with. */
  async function maskOf(instance: Instance): Promise<Mask> {
    const release = await deps.prisma.release.findUniqueOrThrow({ where: { id: instance.releaseId }, select: { variables: true } })
    return createMask(JSON.parse(await deps.secrets.open(instance.teamId, release.variables)) as Record<string, string>)
  }

  async function copy(instance: Instance, signal: AbortSignal): Promise<void> {
    const mask = await maskOf(instance)
    const masked = lineMask(mask)
    const writer = writerOf(instance, mask)
    const admit = tokenBucket(linesPerSecond, burstLines)
    let cursor = instance.logCursor
    let saved = cursor
    let refused = 0
    let hinted = false
    const save = async () => {
      if (cursor === saved) return
      const at = cursor
      await writer.flush()
      await deps.prisma.instance.updateMany({ where: { id: instance.id }, data: { logCursor: at } })
      saved = at
    }
    let saving = false
    const saveSoon = async () => {
      // While the database is unavailable keep a single pending save instead of adding a save every two seconds.
      if (saving) return
      saving = true
      await save()
        .catch((error) => deps.logger.warn({ err: error }, 'cannot save a log position'))
        .finally(() => {
          saving = false
        })
    }
    const timer = setInterval(() => void saveSoon(), saveEveryMs)
    try {
      for await (const line of deps.runtime.logs(instance.id, { ...(cursor ? { after: cursor } : {}), follow: true, signal })) {
        cursor = line.cursor
        // Mask dropped lines too: a secret may span two pieces of a long line.
        const text = masked(line)
        if (!admit()) {
          refused++
          continue
        }
        refused = reportRefused(writer, refused)
        writer.write({ step: 'runtime', stream: line.stream, text, at: line.at })
        if (!hinted && deniedWrite.test(text)) {
          hinted = true
          writer.write({ step: 'runtime', stream: 'system', text: readOnlyHint })
        }
        // Backpressure: while the database is unavailable, unread output stays with the runtime, not in memory.
        if (writer.held() >= maxHeldLines) await writer.flush()
      }
    } finally {
      clearInterval(timer)
      reportRefused(writer, refused)
      await save().catch((error) => deps.logger.warn({ err: error }, 'cannot save a log position'))
    }
  }

  return {
    follow(instance) {
      const current = following.get(instance.id)
      if (current) {
        // A rollback took the instance over: its output belongs to another deployment now. The next round follows it again.
        if (current.deploymentId !== instance.deploymentId) {
          current.stop.abort()
          lost = true
        }
        return
      }
      const stop = new AbortController()
      const ended = copy(instance, stop.signal)
        .catch((error) => {
          if (stop.signal.aborted) return
          lost = true
          deps.logger.warn({ err: error, instance: instance.id }, 'log of an instance cannot be followed; trying again')
        })
        .then(() => void following.delete(instance.id))
      following.set(instance.id, { stop, ended, deploymentId: instance.deploymentId })
    },
    hasLost() {
      const was = lost
      lost = false
      return was
    },
    async finish(instanceId) {
      const current = following.get(instanceId)
      if (!current) return
      const timer = setTimeout(() => current.stop.abort(), finishDeadlineMs)
      await current.ended
      clearTimeout(timer)
    },
    note(instance, text) {
      void maskOf(instance).then(
        (mask) => writerOf(instance, mask).write({ step: 'runtime', stream: 'system', text }),
        (error) => deps.logger.warn({ err: error, instance: instance.id }, 'cannot write a note into the log of an instance'),
      )
    },
    async stop() {
      stopping.abort()
      const all = [...following.values()]
      for (const { stop } of all) stop.abort()
      await Promise.all(all.map((f) => f.ended))
    },
  }
}

function reportRefused(writer: LogWriter, refused: number): number {
  if (refused > 0) writer.write({ step: 'runtime', stream: 'system', text: `${refused} lines were not stored: more than ${linesPerSecond} a second` })
  return 0
}

function tokenBucket(perSecond: number, burst: number): () => boolean {
  let tokens = burst
  let last = Date.now()
  return () => {
    const now = Date.now()
    tokens = Math.min(burst, tokens + ((now - last) / 1000) * perSecond)
    last = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
