import type { PrismaClient } from '@/server/database/generated/client'
import type { ShareLinkDigest } from '@/shared/project-rules'
import { ruleLimits } from '@/shared/rules/weight'
import { protectionOf } from '../environments/protection'
import { invalidRules, readStored, type StoredRules } from './stored'

interface Fingerprint {
  id: string
  md5: string
  bytes: number
}

interface Content {
  id: string
  /** null: the rules were removed. */
  md5: string | null
  edgePolicy: unknown
}

interface EnvironmentRow {
  id: string
  parentId: string | null
  kind: string
  protection: string | null
  /** That of its parent. */
  inherited: string | null
}

/** What an environment has of its own, and of the environment that it inherits from. */
export interface EnvironmentAccess {
  parentId: string | null
  /** Visitors need a share link although no rule protects it. */
  asks: boolean
  /** Those that have not expired. */
  links: ShareLinkDigest[]
}

/** Stored rules of all routed projects: settings by project id, rules of environments by theirs, rules from files by deployment id. */
export interface RulesParts {
  environments: Map<string, EnvironmentAccess>
  ofEnvironments: Map<string, StoredRules>
  settings: Map<string, StoredRules>
  files: Map<string, { artifactId: string; stored: StoredRules }>
}

/**
 * Reads the rules for each new route table. Unchanged rules are neither fetched nor validated again, because every cutover of every project
 * creates a table.
 */
export class RulesReader {
  readonly #prisma: PrismaClient
  #known = new Map<string, StoredRules>()

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  /** Reads the rules that concern these deployments and environments. */
  async read(deploymentIds: readonly string[], environmentIds: readonly string[]): Promise<RulesParts> {
    const [projects, deployments, environments] = await Promise.all([
      this.#projects(),
      this.#deployments(deploymentIds),
      this.#access(environmentIds),
    ])
    const lineage = [...environments].flatMap(([id, { parentId }]) => (parentId === null ? [id] : [id, parentId]))
    const ownRules = await this.#environments([...new Set(lineage)])
    const kept = new Map<string, StoredRules>()
    const settings = await this.#contents(projects, kept, (ids) => this.#settings(ids))
    const artifacts = [...new Map(deployments.map((row) => [row.id, row])).values()]
    const files = await this.#contents(artifacts, kept, (ids) => this.#files(ids))
    const ofEnvironments = await this.#contents(ownRules, kept, (ids) => this.#environmentRules(ids))
    this.#known = kept
    return {
      environments,
      ofEnvironments,
      settings,
      files: new Map(deployments.map(({ deploymentId, id }) => [deploymentId, { artifactId: id, stored: files.get(id) ?? removed }])),
    }
  }

  #projects(): Promise<Fingerprint[]> {
    return this.#prisma.$queryRaw`
      SELECT "id", md5("edgePolicy"::text) AS "md5", octet_length("edgePolicy"::text) AS "bytes" FROM "Project" WHERE "edgePolicy" IS NOT NULL`
  }

  /** Most environments have nothing of their own. */
  async #access(ids: readonly string[]): Promise<Map<string, EnvironmentAccess>> {
    const [rows, links] = await Promise.all([
      this.#prisma.$queryRaw<EnvironmentRow[]>`
        SELECT e."id", e."parentId", e."kind"::text, e."protection", p."protection" AS "inherited"
        FROM "Environment" e LEFT JOIN "Environment" p ON p."id" = e."parentId"
        WHERE e."id" = ANY(${ids}) AND (e."kind" = 'PREVIEW' OR e."protection" IS NOT NULL OR e."rules" IS NOT NULL
          OR EXISTS (SELECT 1 FROM "ShareLink" s WHERE s."environmentId" = e."id"))`,
      this.#prisma.shareLink.findMany({
        where: { expiresAt: { gt: new Date() } },
        select: { environmentId: true, digest: true, expiresAt: true },
        orderBy: { digest: 'asc' },
      }),
    ])
    const linksOf = Map.groupBy(links, (link) => link.environmentId)
    return new Map(
      rows.map(({ id, parentId, kind, protection, inherited }) => {
        const own = (linksOf.get(id) ?? []).map(({ digest, expiresAt }) => ({ digest, expiresAt: expiresAt.getTime() }))
        return [id, { parentId, asks: protectionOf({ kind, protection, parent: { protection: inherited } }) === 'link', links: own }]
      }),
    )
  }

  #environments(ids: readonly string[]): Promise<Fingerprint[]> {
    return this.#prisma.$queryRaw`
      SELECT "id", md5("rules"::text) AS "md5", octet_length("rules"::text) AS "bytes" FROM "Environment" WHERE "rules" IS NOT NULL AND "id" = ANY(${ids})`
  }

  /** Most deployments have no rules in files. */
  #deployments(ids: readonly string[]): Promise<(Fingerprint & { deploymentId: string })[]> {
    return this.#prisma.$queryRaw`
      SELECT d."id" AS "deploymentId", a."id", md5(a."edgePolicy"::text) AS "md5", octet_length(a."edgePolicy"::text) AS "bytes"
      FROM "Deployment" d JOIN "Artifact" a ON a."id" = d."artifactId"
      WHERE a."edgePolicy" IS NOT NULL AND d."id" = ANY(${ids})`
  }

  // Fetch the fingerprint again: the row may have changed.
  #settings(ids: string[]): Promise<Content[]> {
    return this.#prisma.$queryRaw`SELECT "id", md5("edgePolicy"::text) AS "md5", "edgePolicy" FROM "Project" WHERE "id" = ANY(${ids})`
  }

  #environmentRules(ids: string[]): Promise<Content[]> {
    return this.#prisma.$queryRaw`SELECT "id", md5("rules"::text) AS "md5", "rules" AS "edgePolicy" FROM "Environment" WHERE "id" = ANY(${ids})`
  }

  #files(ids: string[]): Promise<Content[]> {
    return this.#prisma.$queryRaw`SELECT "id", md5("edgePolicy"::text) AS "md5", "edgePolicy" FROM "Artifact" WHERE "id" = ANY(${ids})`
  }

  async #contents(
    rows: readonly Fingerprint[],
    kept: Map<string, StoredRules>,
    fetch: (ids: string[]) => Promise<Content[]>,
  ): Promise<Map<string, StoredRules>> {
    const found = new Map<string, StoredRules>()
    const keep = (id: string, md5: string, stored: StoredRules) => {
      found.set(id, stored)
      kept.set(md5, stored)
    }
    const missing: string[] = []
    for (const { id, md5, bytes } of rows) {
      // A larger column exceeds the limit by its length alone: do not fetch it.
      const known = bytes > ruleLimits.sourceWeight ? tooLarge : this.#known.get(md5)
      if (known) keep(id, md5, known)
      // Rules removed between the two queries: the project stays closed until the next table.
      else found.set(id, removed)
      if (!known) missing.push(id)
    }
    for (let at = 0; at < missing.length; at += batch)
      for (const { id, md5, edgePolicy } of await fetch(missing.slice(at, at + batch))) keep(id, md5 ?? '', readStored(edgePolicy))
    return found
  }
}

const batch = 200
const tooLarge = invalidRules('they exceed the size limit of rules')
const removed = invalidRules('they were removed while the route table was computed')
