import path from 'node:path'
import type { LinkCommands } from '@/shared/link'
import { StaticFiles } from '../content/static-content'
import type { RouterLog } from '../log'
import type { HostTable } from '../match/host-table'
import type { Targets } from '../targets/targets'
import { defaultMaxEntryBytes, SharedCache } from './answer-cache'
import { Compression } from './compression'
import { createOrigin } from './origin'

/** The parts of a worker that answer without an instance or filter an instance's answer; passed to the gate. */
export interface AnswerSources {
  content: StaticFiles
  cache: SharedCache
  compressor: Compression
  /** Call with every new table, before the engine applies it. */
  apply(table: HostTable): void
  /** Executes the control plane's purge command. */
  purge(ask: LinkCommands['purge']['ask']): Promise<LinkCommands['purge']['answer']>
  close(): void
}

/** @param options.home home directory of the installation; the cache's disk tier is in `cache/edge` below it. */
export function createAnswerSources(options: { table: HostTable; targets: Targets; home: string; log: RouterLog }): AnswerSources {
  const content = new StaticFiles({ log: options.log })
  const origin = createOrigin({ targets: options.targets, maxBytes: defaultMaxEntryBytes })
  const cache = new SharedCache({ ask: origin.ask, directory: path.join(options.home, 'cache', 'edge') })
  content.apply(options.table)
  return {
    content,
    cache,
    compressor: new Compression(),
    apply(table) {
      content.apply(table)
      cache.apply(table)
    },
    purge: async (ask) => cache.purge(ask),
    close() {
      content.close()
      cache.close()
      origin.close()
    },
  }
}
