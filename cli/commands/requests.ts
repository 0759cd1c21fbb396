import type { RestAnswer } from '@/server/api/rest/client-types'
import { type RequestView, requestFilter } from '@/shared/traffic'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { events } from '../event-stream'
import { UsageError } from '../failure'
import { seconds } from '../terminal'
import { carriedBy } from './logs'

export type RequestsOptions = ApiOptions & { project?: string; follow?: boolean; limit: string; status?: string; path?: string }

/** Prints logged requests, oldest first; `--follow` continues with new requests until interrupted. */
export async function requests(env: CliEnv, options: RequestsOptions, signal: AbortSignal): Promise<void> {
  const { status, path, limit } = options
  const filter = requestFilter.safeParse({ ...(status ? { status } : {}), ...(path ? { path } : {}) })
  if (!filter.success)
    throw new UsageError(`--status ${status}: ${filter.error.issues[0]?.message}.`, 'For example: switchyard requests --status 5xx')
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > 200) throw new UsageError(`--limit ${limit} is not a number from 1 to 200.`)
  const context = await openContext(env, options, signal)
  const { id } = await currentProject(context, options.project)
  const base = `/projects/${encodeURIComponent(id)}/requests`
  const wanted = new URLSearchParams(Object.entries(filter.data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  const print = (request: RequestView) => printResult(context.json ? request : requestText(request))
  const { items } = await context.client.call<RestAnswer<'GET /projects/{project}/requests'>>(`${base}?${wanted}&limit=${limit}`)
  for (const request of items.toReversed()) print(request)
  if (!options.follow) return
  // Resume after the last printed request; without a position, the stream starts with the latest requests.
  for await (const event of events(context.client, `${base}/stream?${wanted}`, signal, items[0]?.id)) print(carriedBy<RequestView>(event))
}

/** "08:31:02 502 GET app.example.com/cart 14 ms refused" */
function requestText({ at, status, method, host, target, durationMs, reason }: RequestView): string {
  const time = new Date(at).toLocaleTimeString('en', { hourCycle: 'h23' })
  return [time, status === 0 ? 'left' : String(status), method, `${host}${target}`, seconds(durationMs), ...(reason ? [reason] : [])]
    .map(printable)
    .join(' ')
}

/** Removes control characters: visitors must not be able to send escape codes to a terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression removes control characters
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\uFFFD')
}
