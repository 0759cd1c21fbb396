import { AppError } from '@/shared/errors'
import type { ScopedClient, ScopedTransaction } from '../database/scope'
import { parseDomainName } from './hostname'

/**
 * Validates a redirect target: a domain of the same project that does not redirect itself, so that neither chains nor loops arise. Returns
 * its stored name.
 * @throws ERR_INVALID_INPUT
 */
export async function requireRedirectTarget(
  db: ScopedClient | ScopedTransaction,
  from: { projectId: string; hostname: string },
  wanted: string,
): Promise<string> {
  const { hostname, kind } = parseDomainName(wanted)
  const refuse = (message: string, nextAction: string) => new AppError('ERR_INVALID_INPUT', message, { nextAction })
  if (kind === 'wildcard') throw refuse('A redirect leads to one name, not to a wildcard.', 'Choose another domain of this project.')
  if (hostname === from.hostname) throw refuse(`${hostname} would redirect to itself.`, 'Choose another domain of this project.')
  const target = await db.domain.findFirst({ where: { projectId: from.projectId, hostname }, select: { redirectTo: true } })
  if (!target) throw refuse(`${hostname} is not a domain of this project.`, 'Add it first, then redirect to it.')
  if (target.redirectTo) throw refuse(`${hostname} redirects to ${target.redirectTo} itself.`, `Redirect to ${target.redirectTo}.`)
  const behind = await db.domain.findFirst({ where: { projectId: from.projectId, redirectTo: from.hostname }, select: { hostname: true } })
  if (behind) throw refuse(`${behind.hostname} redirects to ${from.hostname}, which then would redirect on.`, `Change ${behind.hostname} first.`)
  return hostname
}

/** Locks the redirects of a project: two concurrent changes could otherwise create a chain or loop. */
export async function holdRedirects(tx: ScopedTransaction, projectId: string): Promise<void> {
  // Any write to the project's row locks it until the transaction ends.
  await tx.project.updateMany({ where: { id: projectId }, data: { id: projectId } })
}
