'use client'
import { ArrowDownToLine, ChevronDown, ChevronUp, Download, Pause, Search } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from '@/app/components/ui/button'
import { CopyButton } from '@/app/components/ui/copy-button'
import { inputLook } from '@/app/components/ui/field'
import { Status, type Tone } from '@/app/components/ui/status'
import { cn } from '@/app/lib/cn'
import type { LiveState } from '@/app/lib/use-subscription'
import type { LogBuffer } from './log-buffer'
import type { useLogSearch } from './use-log-search'

const states: Record<LiveState, { tone: Tone; label: string }> = {
  connecting: { tone: 'progress', label: 'Connecting' },
  live: { tone: 'good', label: 'Live' },
  reconnecting: { tone: 'progress', label: 'Reconnecting' },
  ended: { tone: 'neutral', label: 'Complete' },
  refused: { tone: 'bad', label: 'Not available' },
}

interface LogToolbarProps {
  title: string
  state: LiveState
  buffer: LogBuffer
  fileName: string
  search: ReturnType<typeof useLogSearch>
  onShow: (index: number) => void
  following: boolean
  onFollow: (following: boolean) => void
  children?: ReactNode
}

function download(buffer: LogBuffer, fileName: string): void {
  const url = URL.createObjectURL(new Blob([buffer.toText()], { type: 'text/plain' }))
  const link = document.createElement('a')
  link.href = url
  link.download = fileName
  link.click()
  URL.revokeObjectURL(url)
}

/** Toolbar of a log: state, search, follow or pause, copy, download. */
export function LogToolbar({ title, state, buffer, fileName, search, onShow, following, onFollow, children }: LogToolbarProps) {
  const go = (step: 1 | -1) => {
    const index = search.move(step)
    if (index !== undefined) onShow(index)
  }
  const mayGrow = state !== 'ended' && state !== 'refused'
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-3 py-2 sm:pl-4">
      <h2 className="font-semibold">{title}</h2>
      <Status {...states[state]} />
      {children}
      <div className="order-last flex w-full items-center gap-1 sm:order-none sm:ml-auto sm:w-auto">
        <label className="relative flex-1">
          <span className="sr-only">Search the log</span>
          <Search className="pointer-events-none absolute top-2 left-2 size-3.5 text-faint" aria-hidden />
          <input
            type="search"
            value={search.query}
            placeholder="Search"
            onChange={(event) => search.search(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') {
                event.preventDefault()
                go(event.shiftKey ? -1 : 1)
              }
              if (event.key === 'Escape') search.search('')
            }}
            className={cn(inputLook, 'h-7.5 pr-16 pl-7 text-sm sm:w-56')}
          />
          <span className="pointer-events-none absolute top-1.5 right-2.5 text-faint text-xs tabular-nums" aria-live="polite">
            {search.wanted ? `${search.at + 1}/${search.matches.length}` : ''}
          </span>
        </label>
        <Button variant="ghost" size="iconSm" aria-label="Previous match" onClick={() => go(-1)} disabled={search.matches.length === 0}>
          <ChevronUp />
        </Button>
        <Button variant="ghost" size="iconSm" aria-label="Next match" onClick={() => go(1)} disabled={search.matches.length === 0}>
          <ChevronDown />
        </Button>
      </div>
      <div className="ml-auto flex items-center sm:ml-0">
        <Button variant="ghost" size="sm" aria-pressed={following} onClick={() => onFollow(!following)} disabled={!mayGrow && following}>
          {following && mayGrow ? <Pause /> : <ArrowDownToLine />}
          <span className="min-w-11 text-left">{following && mayGrow ? 'Pause' : mayGrow ? 'Follow' : 'To end'}</span>
        </Button>
        <CopyButton text={() => buffer.toText()} label="Copy log" />
        <Button variant="ghost" size="iconSm" aria-label="Download log" title="Download log" onClick={() => download(buffer, fileName)}>
          <Download />
        </Button>
      </div>
    </div>
  )
}
