'use client'
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { Button } from '@/app/components/ui/button'
import { cn } from '@/app/lib/cn'
import type { LiveState } from '@/app/lib/use-subscription'
import type { BufferedLine, LogBuffer, LogSnapshot } from './log-buffer'
import { LogLine } from './log-line'
import { LogToolbar } from './log-toolbar'
import { rowHeight } from './row-layout'
import { useLogSearch } from './use-log-search'
import { useLogViewport } from './use-log-viewport'

export type LogFocus = ({ step: string } | { text: string }) & { at: number }

/** `runtime` is the step of the app's own output. */
const parts = { all: 'All', build: 'Build', app: 'App' } as const
type Part = keyof typeof parts
const isOfPart = (line: BufferedLine, part: Part): boolean => part === 'all' || (line.step === 'runtime') === (part === 'app')

function PartChoice({ part, onPart }: { part: Part; onPart: (part: Part) => void }) {
  return (
    <fieldset className="flex rounded-md border p-0.5">
      <legend className="sr-only">Output of</legend>
      {(Object.keys(parts) as Part[]).map((each) => (
        <Button key={each} variant="ghost" size="sm" aria-pressed={part === each} onClick={() => onPart(each)} className="h-6 aria-pressed:bg-hover">
          {parts[each]}
        </Button>
      ))}
    </fieldset>
  )
}

function indexOfFocus(lines: readonly BufferedLine[], focus: LogFocus): number {
  if ('step' in focus) return lines.findIndex(({ step }) => step === focus.step)
  return lines.findIndex(({ plain }) => plain.includes(focus.text))
}

interface LogViewProps {
  title: string
  buffer: LogBuffer
  state: LiveState
  fileName: string
  /** Text shown while the log is empty. */
  emptyText: string
  /** True when no more lines will arrive: `emptyText` is shown only after the log was read to its end. */
  complete?: boolean
  /** Lines have anchors (`#L12`). */
  deepLinks?: boolean
  /** A step, or a line with this text, to scroll to; a new `at` repeats the same jump. */
  focus?: LogFocus | null
  /** Lines can be filtered by build and app. */
  apart?: boolean
  className?: string
}

const empty: LogSnapshot = { lines: [], dropped: 0 }

function lineOfHash(): number | null {
  const match = /^#L(\d+)$/.exec(window.location.hash)
  return match ? Number(match[1]) : null
}

/** Line number in the URL fragment, and its setter. */
function useMarkedLine(enabled: boolean) {
  const [marked, setMarked] = useState<number | null>(null)
  useEffect(() => {
    if (!enabled) return
    const read = () => setMarked(lineOfHash())
    read()
    window.addEventListener('hashchange', read)
    return () => window.removeEventListener('hashchange', read)
  }, [enabled])
  const mark = useCallback(
    (number: number) => {
      setMarked(number)
      if (enabled) window.history.replaceState(window.history.state, '', `#L${number}`)
    },
    [enabled],
  )
  return { marked, mark }
}

/** Virtualized log: only visible lines are in the document. */
export function LogView({
  title,
  buffer,
  state,
  fileName,
  emptyText,
  complete = false,
  deepLinks = false,
  apart = false,
  focus = null,
  className,
}: LogViewProps) {
  const snapshot = useSyncExternalStore(buffer.subscribe, buffer.getSnapshot, () => empty)
  const [part, setPart] = useState<Part>('all')
  const { dropped } = snapshot
  const lines = useMemo(() => (part === 'all' ? snapshot.lines : snapshot.lines.filter((line) => isOfPart(line, part))), [snapshot.lines, part])
  const container = useRef<HTMLDivElement>(null)
  const numberWidth = String(dropped + snapshot.lines.length).length
  const view = useLogViewport(container, lines, numberWidth)
  const search = useLogSearch(lines)
  const { marked, mark } = useMarkedLine(deepLinks)

  // Scroll to the linked line once, when that line has arrived.
  const shownMark = useRef<number | null>(null)
  useEffect(() => {
    if (marked === null || shownMark.current === marked) return
    const index = lines.findIndex(({ number }) => number === marked)
    if (index === -1) return
    shownMark.current = marked
    view.showLine(index)
  }, [marked, lines, view.showLine])

  const onMark = useCallback(
    (number: number) => {
      shownMark.current = number
      mark(number)
    },
    [mark],
  )

  const shownFocus = useRef(0)
  useEffect(() => {
    if (!focus || shownFocus.current === focus.at) return
    if (part !== 'all') return setPart('all')
    shownFocus.current = focus.at
    const index = indexOfFocus(lines, focus)
    if (index === -1) return
    view.showLine(index)
    const line = lines[index]
    if (line && 'text' in focus) onMark(line.number)
  }, [focus, lines, part, onMark, view.showLine])

  const currentLine = search.at === -1 ? -1 : (search.matches[search.at] ?? -1)
  return (
    <section aria-label={title} className={cn('flex min-h-0 flex-col overflow-hidden rounded-xl border bg-surface shadow-card', className)}>
      <LogToolbar {...{ title, state, buffer, fileName, search }} onShow={view.showLine} following={view.following} onFollow={view.setFollowing}>
        {apart ? <PartChoice part={part} onPart={setPart} /> : null}
      </LogToolbar>
      <div
        ref={container}
        role="log"
        aria-live="off"
        aria-label={`${title} lines`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard (WCAG 2.1.1)
        tabIndex={0}
        className="relative min-h-0 flex-1 overflow-y-auto overflow-x-hidden bg-console py-2 font-mono text-xs leading-5 focus-visible:-outline-offset-2"
      >
        {lines.length === 0 ? (
          <p className="px-4 py-2 text-faint">{state === 'ended' || (state === 'live' && !complete) ? emptyText : 'Loading the log…'}</p>
        ) : null}
        <div className="relative" style={{ height: view.totalHeight }}>
          {lines.slice(view.first, view.last).map((line, offset) => {
            const index = view.first + offset
            const start = view.starts[index] ?? 0
            return (
              <LogLine
                key={line.number}
                line={line}
                top={start * rowHeight}
                rows={(view.starts[index + 1] ?? start + 1) - start}
                numberWidth={numberWidth}
                timed={view.timed}
                query={search.wanted}
                current={index === currentLine}
                marked={line.number === marked}
                onMark={onMark}
              />
            )
          })}
        </div>
      </div>
      {dropped > 0 ? <p className="border-t px-4 py-1.5 text-faint text-xs">The first {dropped.toLocaleString('en')} lines are not shown.</p> : null}
    </section>
  )
}
