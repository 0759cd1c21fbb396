import { AppError } from '@/shared/errors'
import type { InstanceOwner } from './driver'

/** Ids become names of directories, containers and control groups, so they must not contain path separators. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

const ownerFields = [
  'installationId',
  'teamId',
  'projectId',
  'projectSlug',
  'environmentId',
  'deploymentId',
  'instanceId',
  'slot',
] as const satisfies readonly (keyof InstanceOwner)[]

export const labelPrefix = 'switchyard.'
/** Label that distinguishes instances from build containers of the same installation. */
export const roleLabel = `${labelPrefix}role`

/** Checks an id. @throws AppError ERR_INVALID_INPUT */
export function assertId(what: string, value: string): string {
  if (!idPattern.test(value))
    throw new AppError('ERR_INVALID_INPUT', `The ${what} ${JSON.stringify(value.slice(0, 80))} is not a usable id (letters, digits, - and _)`)
  return value
}

/** Checks all ids of an owner. @throws AppError ERR_INVALID_INPUT when a field cannot be a file name or a label. */
export function assertOwner(owner: InstanceOwner): InstanceOwner {
  for (const field of ownerFields) assertId(field, owner[field])
  return owner
}

export function ownerLabels(owner: InstanceOwner): Record<string, string> {
  return Object.fromEntries(ownerFields.map((field) => [labelPrefix + field, owner[field]]))
}

/** null when the labels are not (all) ours. */
export function ownerOfLabels(labels: Record<string, string>): InstanceOwner | null {
  const owner: Record<string, string> = {}
  for (const field of ownerFields) {
    const value = labels[labelPrefix + field]
    if (value === undefined) return null
    owner[field] = value
  }
  return owner as unknown as InstanceOwner
}
