import { AppError } from '@/shared/errors'

export const roles = ['member', 'admin', 'owner'] as const
export type Role = (typeof roles)[number]

const rank: Readonly<Record<Role, number>> = { member: 0, admin: 1, owner: 2 }

/** Minimum role per action. Every endpoint names an action of this table. */
export const requiredRole = {
  'me.read': 'member',
  'team.read': 'member',
  'system.read': 'member',
  'change.watch': 'member',
  'project.read': 'member',
  'project.create': 'admin',
  'project.update': 'admin',
  'project.remove': 'admin',
  'environment.write': 'admin',
  'environment.approve': 'member',
  'share-link.read': 'member',
  'share-link.write': 'member',
  'variable.read': 'member',
  'variable.write': 'admin',
  'domain.read': 'member',
  'domain.check': 'member',
  'domain.write': 'admin',
  'certificate.read': 'member',
  'certificate.retry': 'member',
  'certificate.write': 'admin',
  'dns-provider.read': 'member',
  'dns-provider.write': 'admin',
  'forge.read': 'member',
  'forge.write': 'admin',
  'webhook.read': 'admin',
  'webhook.write': 'admin',
  'webhook.test': 'admin',
  'webhook-secret.read': 'admin',
  'webhook-delivery.read': 'member',
  'webhook-delivery.replay': 'member',
  'deployment.read': 'member',
  'deployment.create': 'member',
  'deployment.cancel': 'member',
  'deployment.release': 'member',
  'git-hook.read': 'admin',
  'git-hook.write': 'admin',
  'delivery.read': 'member',
  'delivery.replay': 'member',
  'delivery.approve': 'member',
  'deploy-hook.read': 'admin',
  'deploy-hook.write': 'admin',
  'cache.purge': 'member',
  'build-cache.clear': 'member',
  'instance.read': 'member',
  'traffic.read': 'member',
  'metrics.read': 'member',
  'api-key.read': 'admin',
  'api-key.write': 'admin',
} as const satisfies Record<string, Role>
export type Action = keyof typeof requiredRole
export const actions = Object.keys(requiredRole) as [Action, ...Action[]]

export function can(actor: { role: Role }, action: Action): boolean {
  return rank[actor.role] >= rank[requiredRole[action]]
}

/** Actions that the actor's role does not allow, with the required role; the dashboard disables them in advance. */
export function refusedTo(actor: { role: Role }): Partial<Record<Action, Role>> {
  return Object.fromEntries(actions.filter((action) => !can(actor, action)).map((action) => [action, requiredRole[action]]))
}

/** @throws AppError ERR_FORBIDDEN naming the required role */
export function authorize(actor: { role: Role }, action: Action): void {
  if (can(actor, action)) return
  throw new AppError('ERR_FORBIDDEN', `This needs the role ${requiredRole[action]} in the team; yours is ${actor.role}.`, {
    nextAction: 'Ask an owner or an admin of the team to do it, or to give you the role.',
  })
}

/** Whether `one` is a higher role than `other`: a user must not change a member of a higher role. */
export const outranks = (one: Role, other: Role): boolean => rank[one] > rank[other]
