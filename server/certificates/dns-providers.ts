import type { z } from 'zod'
import type { PrismaClient, DnsProvider as Row } from '@/server/database/generated/client'
import type { DnsProviderInput, DnsProviderView, dnsProviderPatch } from '@/shared/certificates'
import type { DnsCredentials, DnsProviderKind } from '@/shared/dns-providers'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { Secrets } from '../secrets/secrets'
import { authorize } from '../teams/policy'
import type { StoredCredentials } from './dns'

const maxProviders = 100
const include = { domains: { select: { hostname: true }, orderBy: { hostname: 'asc' } } } as const
type WithDomains = Row & { domains: { hostname: string }[] }

export interface DnsProviderDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal'>
}

export interface DnsProviders {
  list(actor: Actor): Promise<DnsProviderView[]>
  create(actor: Actor, input: DnsProviderInput): Promise<DnsProviderView>
  update(actor: Actor, id: string, patch: z.output<typeof dnsProviderPatch>): Promise<DnsProviderView>
  /** @throws ERR_CONFLICT while a domain uses it */
  remove(actor: Actor, id: string): Promise<void>
}

/** Use-cases about DNS hosts and their credentials. Credentials are stored encrypted and never returned. */
export function createDnsProviders(deps: DnsProviderDeps): DnsProviders {
  return {
    async list(actor) {
      authorize(actor, 'dns-provider.read')
      const rows = await scopeTo(deps.prisma, actor).dnsProvider.findMany({ include, orderBy: { name: 'asc' } })
      return rows.map(present)
    },
    create: (actor, input) => createProvider(deps, actor, input),
    update: (actor, id, patch) => updateProvider(deps, actor, id, patch),
    remove: (actor, id) => removeProvider(deps, actor, id),
  }
}

const present = (row: WithDomains): DnsProviderView => ({
  id: row.id,
  name: row.name,
  kind: row.kind as DnsProviderKind,
  domains: row.domains.map((one) => one.hostname),
  createdAt: row.createdAt.toISOString(),
})

async function requireProvider(db: ScopedClient, id: string): Promise<WithDomains> {
  const row = await db.dnsProvider.findFirst({ where: { id }, include })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such DNS provider in this team.')
  return row
}

/** Only operators of the machine may let a provider reach private networks; the permission is stored with the credentials. */
function sealCredentials(deps: DnsProviderDeps, actor: Actor, credentials: DnsCredentials): Promise<Uint8Array<ArrayBuffer>> {
  if (credentials.kind === 'webhook' && !actor.operator && !credentials.url.startsWith('https:'))
    throw new AppError('ERR_INVALID_INPUT', 'The webhook must be an https URL.', {
      nextAction: 'Use https, or ask an operator of this installation to set it up within a private network.',
    })
  const { kind: _, ...rest } = credentials
  return deps.secrets.seal(actor.teamId, JSON.stringify({ credentials: rest, allowPrivateNetwork: actor.operator } satisfies StoredCredentials))
}

const nameTaken = (name: string) =>
  new AppError('ERR_CONFLICT', `There is a DNS provider called "${name}" already.`, { nextAction: 'Choose another name.' })

async function createProvider(deps: DnsProviderDeps, actor: Actor, input: DnsProviderInput): Promise<DnsProviderView> {
  authorize(actor, 'dns-provider.write')
  const db = scopeTo(deps.prisma, actor)
  const { name, credentials } = input
  const sealed = await sealCredentials(deps, actor, credentials)
  const id = newId()
  try {
    await db.$transaction(async (tx) => {
      // Any write to the team's row locks it until the transaction ends: two concurrent additions could otherwise both take the last place.
      await tx.team.update({ where: { id: actor.teamId }, data: { id: actor.teamId }, select: { id: true } })
      if ((await tx.dnsProvider.count()) >= maxProviders)
        throw new AppError('ERR_INVALID_INPUT', `A team has at most ${maxProviders} DNS providers.`, {
          nextAction: 'Remove one that no domain uses.',
        })
      await tx.dnsProvider.create({ data: { id, teamId: actor.teamId, name, kind: credentials.kind, credentials: sealed } })
      await writeAudit(tx, actor, { action: 'dns-provider.created', subject: id, detail: { name, kind: credentials.kind } })
    })
  } catch (error) {
    if (isUniqueViolation(error)) throw nameTaken(name)
    throw error
  }
  return present(await requireProvider(db, id))
}

/** @throws ERR_INVALID_INPUT when the credentials belong to another kind of provider */
async function updateProvider(deps: DnsProviderDeps, actor: Actor, id: string, patch: z.output<typeof dnsProviderPatch>): Promise<DnsProviderView> {
  authorize(actor, 'dns-provider.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireProvider(db, id)
  if (patch.credentials && patch.credentials.kind !== row.kind)
    throw new AppError('ERR_INVALID_INPUT', `These are credentials of another kind; ${row.name} is of the kind ${row.kind}.`, {
      nextAction: 'Add another DNS provider.',
    })
  const data = {
    ...(patch.name === undefined ? {} : { name: patch.name }),
    ...(patch.credentials === undefined ? {} : { credentials: await sealCredentials(deps, actor, patch.credentials) }),
  }
  try {
    await db.$transaction(async (tx) => {
      await tx.dnsProvider.updateMany({ where: { id }, data })
      await writeAudit(tx, actor, { action: 'dns-provider.updated', subject: id, detail: { name: row.name, changed: Object.keys(data) } })
    })
  } catch (error) {
    if (isUniqueViolation(error)) throw nameTaken(patch.name ?? row.name)
    throw error
  }
  return present(await requireProvider(db, id))
}

/** @throws ERR_CONFLICT while domains use it: their certificates could not be renewed */
async function removeProvider(deps: DnsProviderDeps, actor: Actor, id: string): Promise<void> {
  authorize(actor, 'dns-provider.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireProvider(db, id)
  if (row.domains.length > 0)
    throw new AppError('ERR_CONFLICT', `${row.domains.map((one) => one.hostname).join(', ')} renew their certificates with it.`, {
      nextAction: 'Choose another DNS provider for these domains first.',
    })
  await db.$transaction(async (tx) => {
    await tx.dnsProvider.deleteMany({ where: { id } })
    await writeAudit(tx, actor, { action: 'dns-provider.removed', subject: id, detail: { name: row.name } })
  })
}
