import { type DeploymentStatus, deploymentStatuses } from '@/shared/states'

/** Filter of a list of deployments, as it stands in the address of the page. Empty texts are absent. */
export interface DeploymentFilter {
  status?: DeploymentStatus
  environment?: string
  branch?: string
  author?: string
}

/** Longest text that the API accepts for each field. */
const lengths = { environment: 100, branch: 250, author: 200 } as const
const textFields = Object.keys(lengths) as (keyof typeof lengths)[]

/** Reads a filter from the query of an address; unknown statuses and texts that are too long are left out. */
export function filterOf(query: URLSearchParams): DeploymentFilter {
  const status = deploymentStatuses.find((each) => each === query.get('status')?.toUpperCase())
  const texts = textFields.map((name) => [name, query.get(name)?.trim() ?? ''] as const)
  return { ...(status ? { status } : {}), ...Object.fromEntries(texts.filter(([name, text]) => text !== '' && text.length <= lengths[name])) }
}

/** Query of the address for a filter: `?status=failed&branch=main`; '' without a filter. */
export function queryOf(filter: DeploymentFilter): string {
  const entries = Object.entries(filter).filter(([, text]) => text)
  const query = new URLSearchParams(entries.map(([name, text]) => [name, name === 'status' ? text.toLowerCase() : text])).toString()
  return query === '' ? '' : `?${query}`
}

/** Query of a page from what Next.js passes to it; of a repeated field, the first value. */
export function searchOf(params: Record<string, string | string[] | undefined>): URLSearchParams {
  const entries = Object.entries(params).flatMap(([name, value]) => {
    const first = Array.isArray(value) ? value[0] : value
    return first === undefined ? [] : [[name, first]]
  })
  return new URLSearchParams(entries)
}
