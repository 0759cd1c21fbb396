import { inSlices } from '@/shared/node/slices'
import type { StaticContent } from '@/shared/route-table'
import type { ContentSource, Found, LocalAnswer, RequestFacts } from '../gate/gate'
import { MemoryBound } from '../http/memory-bound'
import { WorkQueue } from '../http/work-queue'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import { OpenFiles } from './open-files'
import { Site, type SiteShare } from './site'
import { readSite } from './site-index'

export interface StaticFilesOptions {
  log?: Pick<RouterLog, 'warn'>
  /** Bound of the file contents in memory. */
  memoryBytes?: number
}

const defaultMemoryBytes = 96 * 1024 * 1024
/** Pause before a directory that could not be read is tried again. */
const retryMs = 1_000
/** Maximum sites loaded before their first request. */
const warmSites = 200
const maxWaitingCompressions = 64

type Opening = { site: Site | null; pending: Promise<Site | null>; retryAt: number }

/**
 * Serves the files of static artifacts from the directories into which the control plane unpacked them. Artifacts are immutable, so each
 * directory is read once and all derived data is cached by digest.
 */
export class StaticFiles implements ContentSource {
  readonly #sites = new Map<string, Opening>()
  readonly #log: StaticFilesOptions['log']
  readonly #share: SiteShare
  readonly #queue = new WorkQueue(maxWaitingCompressions)
  #endSweep: () => void = () => {}

  constructor(options: StaticFilesOptions = {}) {
    this.#log = options.log
    this.#share = {
      memory: new MemoryBound(options.memoryBytes ?? defaultMemoryBytes),
      files: new OpenFiles(),
      later: (work) => this.#queue.add(work),
    }
  }

  find(route: LiveRoute, path: string, facts: RequestFacts): Found {
    return this.#with(route, (site) => site.at(path)?.answer(facts, (chosen) => chosen.answer(facts)) ?? null)
  }

  /** The app of an SPA for paths that look like a page; for other paths the site's 404 page. */
  fallback(route: LiveRoute, facts: RequestFacts): Found {
    return this.#with(route, (site) => {
      const app = route.content?.spa && looksLikePage(facts) ? site.named('index.html') : null
      if (app) return app.answer(facts, (chosen) => chosen.answer(facts))
      return site.named('404.html')?.answer(facts, (chosen) => chosen.notFound()) ?? null
    })
  }

  page(route: LiveRoute, path: string, facts: RequestFacts): Found {
    const page = this.#with(route, (site) => site.at(path)?.answer(facts, (chosen) => chosen.ok) ?? null)
    // Ignore errors of the page: the status is sent in any case.
    return page instanceof Promise ? page.catch(() => null) : page
  }

  /** Drops sites that the table no longer contains, and loads new ones before their first request. A large table is processed in slices. */
  apply(table: HostTable): void {
    this.#endSweep()
    this.#endSweep = inSlices(this.#sweep(table))
  }

  *#sweep(table: HostTable): Generator<void, void> {
    const gone = new Set(this.#sites.keys())
    const fresh = new Map<string, StaticContent>()
    for (const { content } of table.routes()) {
      yield
      if (!content) continue
      const key = keyOf(content)
      if (!gone.delete(key) && fresh.size < warmSites && !this.#sites.has(key)) fresh.set(key, content)
    }
    for (const key of gone) {
      const opening = this.#sites.get(key)
      this.#sites.delete(key)
      if (opening) closeLater(opening)
    }
    for (const [key, content] of fresh) if (this.#sites.size < warmSites && !this.#sites.has(key)) this.#open(key, content)
  }

  close(): void {
    this.#endSweep()
    for (const opening of this.#sites.values()) closeLater(opening)
    this.#sites.clear()
    this.#share.files.close()
  }

  #with(route: LiveRoute, use: (site: Site) => Found): Found {
    const { content } = route
    if (!content) return null
    const key = keyOf(content)
    const opening = this.#sites.get(key)
    if (opening?.site) return this.#safely(use(opening.site), key)
    const pending = !opening || (opening.retryAt !== 0 && opening.retryAt <= Date.now()) ? this.#open(key, content) : opening.pending
    return pending.then((site) => (site ? this.#safely(use(site), key) : null))
  }

  // A file disappeared although it is indexed: read the directory again and treat this request as not found. Other read errors (no
  // descriptors left, disk failure) stay errors: clients would cache a "not found".
  #safely(found: Found, key: string): Found {
    if (!(found instanceof Promise)) return found
    return found.catch((error): LocalAnswer | null => {
      if (!isGone(error)) throw error
      this.#log?.warn({ err: error }, 'a static file cannot be read')
      this.#sites.delete(key)
      return null
    })
  }

  #open(key: string, content: StaticContent): Promise<Site | null> {
    const opening: Opening = { site: null, retryAt: 0, pending: Promise.resolve(null) }
    opening.pending = readSite(content.directory).then(
      (index) => {
        opening.site = new Site(content.digest, index, this.#share)
        return opening.site
      },
      (error) => {
        this.#log?.warn({ err: error, directory: content.directory }, 'static files cannot be served from their directory')
        opening.retryAt = Date.now() + retryMs
        if (isGone(error)) return null
        throw error
      },
    )
    opening.pending.catch(() => {})
    this.#sites.set(key, opening)
    return opening.pending
  }
}

function closeLater({ pending }: Opening): void {
  pending.then(
    (site) => site?.close(),
    () => {},
  )
}

const keys = new WeakMap<StaticContent, string>()

function keyOf(content: StaticContent): string {
  let key = keys.get(content)
  if (key === undefined) {
    key = `${content.digest}\0${content.directory}`
    keys.set(content, key)
  }
  return key
}

const isGone = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT'

function looksLikePage(facts: RequestFacts): boolean {
  const name = facts.path.slice(facts.path.lastIndexOf('/') + 1)
  if (name.includes('.')) return false
  const accept = facts.header('accept') ?? '*/*'
  return accept.includes('text/html') || accept.includes('*/*')
}
