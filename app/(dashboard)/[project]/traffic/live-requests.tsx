'use client'
import { Activity, Pause, Play, Search } from 'lucide-react'
import { useDeferredValue, useMemo, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { inputLook, SelectField } from '@/app/components/ui/field'
import { PageLink } from '@/app/components/ui/page-link'
import { Status, type Tone } from '@/app/components/ui/status'
import { cn } from '@/app/lib/cn'
import { paths } from '@/app/lib/paths'
import type { LiveState } from '@/app/lib/use-subscription'
import type { RequestView } from '@/shared/traffic'
import { useProject } from '../use-project'
import { RequestDetail } from './request-detail'
import { RequestRow } from './request-row'
import { useLiveRequests } from './use-live-requests'

const states: Record<LiveState, { tone: Tone; label: string }> = {
  connecting: { tone: 'progress', label: 'Connecting' },
  live: { tone: 'good', label: 'Live' },
  reconnecting: { tone: 'progress', label: 'Reconnecting' },
  ended: { tone: 'neutral', label: 'Ended' },
  refused: { tone: 'bad', label: 'Not available' },
}
const statusChoices = ['2xx', '3xx', '4xx', '5xx'] as const

/** Live list of requests and their responses. */
export function LiveRequests({ projectId, slug, host }: { projectId: string; slug: string; host: string | undefined }) {
  const [status, setStatus] = useState('')
  const [path, setPath] = useState('')
  const [paused, setPaused] = useState(false)
  const [shown, setShown] = useState<RequestView | null>(null)
  const searched = useDeferredValue(path.trim())
  const filter = useMemo(
    () => ({ ...(status ? { status } : {}), ...(searched ? { path: searched } : {}), ...(host ? { host } : {}) }),
    [status, searched, host],
  )
  const { rows, state, older } = useLiveRequests(projectId, filter, paused)
  const filtered = Object.keys(filter).length > 0
  return (
    <Card className="mt-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-4 py-2.5 sm:px-5">
        <h2 className="font-semibold text-lg">Requests</h2>
        <Status {...(paused ? { tone: 'neutral' as const, label: 'Paused' } : states[state])} />
        <div className="ml-auto flex w-full flex-wrap items-center gap-2 sm:w-auto">
          <label className="relative min-w-40 flex-1 basis-full sm:basis-auto">
            <span className="sr-only">Part of path or query</span>
            <Search className="pointer-events-none absolute top-2.5 left-2.5 size-3.5 text-faint" aria-hidden />
            <input
              type="search"
              value={path}
              maxLength={200}
              placeholder="Path"
              onChange={(event) => setPath(event.target.value)}
              className={cn(inputLook, 'h-8.5 pl-8 text-sm sm:w-52')}
            />
          </label>
          <SelectField
            label="Status"
            labelHidden
            className="flex-1 sm:w-32 sm:flex-none"
            value={status}
            onChange={(event) => setStatus(event.target.value)}
          >
            <option value="">Any status</option>
            {statusChoices.map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </SelectField>
          <Button aria-pressed={paused} onClick={() => setPaused(!paused)} disabled={state === 'refused'}>
            {paused ? <Play /> : <Pause />}
            <span className="min-w-12 text-left">{paused ? 'Go on' : 'Pause'}</span>
          </Button>
        </div>
      </div>
      {rows.length === 0 ? <NoRequests filtered={filtered} state={state} /> : <Rows rows={rows} onShow={setShown} />}
      {rows.length > 0 ? <Older key={JSON.stringify(filter)} oldest={rows.at(-1)?.id} load={older} /> : null}
      <RequestDetail request={shown} slug={slug} onClose={() => setShown(null)} />
    </Card>
  )
}

function NoRequests({ filtered, state }: { filtered: boolean; state: LiveState }) {
  if (state === 'refused')
    return (
      <EmptyState icon={Activity} title="Requests cannot be shown">
        You are signed out or no longer have access to this project. Reload the page.
      </EmptyState>
    )
  if (state === 'connecting') return <p className="px-4 py-12 text-center text-faint">Reading the last requests…</p>
  if (filtered)
    return (
      <EmptyState icon={Activity} title="No request fits">
        No logged request matches; new matching requests appear here. All errors and a sample of other requests are kept for 7 days.
      </EmptyState>
    )
  return <NoVisitors />
}

/** Empty state before the first request. */
function NoVisitors() {
  const { slug, url, liveDeployment } = useProject()
  const next = liveDeployment ? (
    <a href={url} target="_blank" rel="noreferrer">
      Open the app
    </a>
  ) : (
    <PageLink href={paths.project(slug)}>Deploy it</PageLink>
  )
  return (
    <EmptyState icon={Activity} title="No request yet" actions={<Button asChild>{next}</Button>}>
      {liveDeployment ? 'New requests appear here at once.' : 'The app is not live yet. Once it is live, requests of visitors appear here at once.'}
    </EmptyState>
  )
}

function Rows({ rows, onShow }: { rows: readonly RequestView[]; onShow: (request: RequestView) => void }) {
  return (
    <div className="max-h-140 overflow-y-auto">
      <table className="w-full table-fixed text-sm">
        <thead className="sticky top-0 z-10 bg-surface text-faint shadow-[0_1px_var(--line)]">
          <tr className="*:px-2 *:py-1.5 *:text-left *:font-normal">
            <th scope="col" className="w-22 pl-4! sm:w-26 sm:pl-5!">
              Time
            </th>
            <th scope="col" className="w-14">
              Status
            </th>
            <th scope="col">Request</th>
            <th scope="col" className="hidden w-20 md:table-cell">
              Cache
            </th>
            <th scope="col" className="w-20 pr-4! text-right! sm:pr-5!">
              Took
            </th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {rows.map((request) => (
            <RequestRow key={request.id} request={request} onShow={onShow} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Older({ oldest, load }: { oldest: string | undefined; load: (cursor: string) => Promise<boolean> }) {
  const [pending, setPending] = useState(false)
  const [more, setMore] = useState(true)
  const [failed, setFailed] = useState(false)
  if (!oldest) return null
  const onClick = () => {
    setPending(true)
    setFailed(false)
    load(oldest)
      .then(setMore, () => setFailed(true))
      .finally(() => setPending(false))
  }
  return (
    <div className="flex items-center justify-center gap-3 rounded-b-xl border-t bg-sunken px-4 py-2.5 text-faint text-sm">
      {more ? (
        <Button size="sm" pending={pending} onClick={onClick}>
          Show older requests
        </Button>
      ) : (
        'These are all logged requests.'
      )}
      {failed ? <span role="alert">Older requests could not be loaded; try again.</span> : null}
    </div>
  )
}
