'use client'
import { memo } from 'react'
import { clock, exactTime } from '@/app/lib/format'
import type { RequestView } from '@/shared/traffic'
import { formatMs } from './format-traffic'
import { reasonWord } from './request-reason'

export function statusTone(status: number): string {
  if (status >= 500) return 'text-bad'
  if (status >= 400) return 'text-warn'
  return status >= 300 ? 'text-accent-text' : status >= 200 ? 'text-good' : 'text-faint'
}

/** Status 0: the client disconnected before the response. */
export const statusText = (status: number): string => (status === 0 ? 'left' : String(status))

/** Row of a request; a click anywhere opens its details. */
export const RequestRow = memo(function RequestRow({ request, onShow }: { request: RequestView; onShow: (request: RequestView) => void }) {
  const { at, status, method, target, host, cache, durationMs, reason } = request
  return (
    <tr className="relative *:px-2 *:py-1.5 hover:bg-hover">
      <td className="pl-4! text-faint tabular-nums sm:pl-5!">
        <time dateTime={at} title={exactTime(at)}>
          {clock.format(new Date(at))}
        </time>
      </td>
      <td className={`font-medium tabular-nums ${statusTone(status)}`}>{statusText(status)}</td>
      <td className="truncate">
        <button
          type="button"
          onClick={() => onShow(request)}
          title={`${host}${target}`}
          className="max-w-full truncate text-left font-mono text-xs leading-5 after:absolute after:inset-0 focus-visible:-outline-offset-2"
        >
          <span className="text-muted">{method}</span> {target}
          {reason ? <span className="ml-2 font-sans text-faint">{reasonWord(reason)}</span> : null}
        </button>
      </td>
      <td className="hidden text-faint md:table-cell">{cache === 'none' ? '' : cache}</td>
      <td className="pr-4! text-right tabular-nums sm:pr-5!">{formatMs(durationMs)}</td>
    </tr>
  )
})
