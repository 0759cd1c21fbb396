import { memo, useMemo } from 'react'
import { cn } from '@/app/lib/cn'
import { clock, exactTime } from '@/app/lib/format'
import { parseAnsi } from './ansi'
import type { BufferedLine } from './log-buffer'
import { rowHeight, timeColumns } from './row-layout'

interface LogLineProps {
  line: BufferedLine
  top: number
  rows: number
  numberWidth: number
  /** Show the time of each line. */
  timed: boolean
  query: string
  /** The current match of the search. */
  current: boolean
  /** The line a deep link points at. */
  marked: boolean
  onMark: (number: number) => void
}

function Highlighted({ text, query, current }: { text: string; query: string; current: boolean }) {
  const parts: { text: string; match: boolean }[] = []
  const lower = text.toLowerCase()
  let from = 0
  for (let at = lower.indexOf(query); at !== -1; at = lower.indexOf(query, from)) {
    parts.push({ text: text.slice(from, at), match: false }, { text: text.slice(at, at + query.length), match: true })
    from = at + query.length
  }
  parts.push({ text: text.slice(from), match: false })
  return parts.map((part, index) =>
    part.match ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: the parts are one line cut in order
      <mark key={index} className={cn('rounded-xs text-fg', current ? 'bg-warn-dot/70' : 'bg-warn-dot/35')}>
        {part.text}
      </mark>
    ) : (
      part.text
    ),
  )
}

/** A log line at its position. The line number is a link to the line. */
export const LogLine = memo(function LogLine({ line, top, rows, numberWidth, timed, query, current, marked, onMark }: LogLineProps) {
  const spans = useMemo(() => (query ? null : parseAnsi(line.text)), [line.text, query])
  return (
    <div
      data-line={line.number}
      className={cn('absolute inset-x-0 flex hover:bg-hover/60', marked && 'bg-accent-soft hover:bg-accent-soft', current && !marked && 'bg-hover')}
      style={{ top, height: rows * rowHeight }}
    >
      <a
        href={`#L${line.number}`}
        onClick={(event) => {
          event.preventDefault()
          onMark(line.number)
        }}
        tabIndex={-1}
        aria-label={`Line ${line.number}`}
        className={cn('shrink-0 select-none pr-3 text-right text-faint hover:text-fg', marked && 'text-accent-text')}
        style={{ width: `calc(${numberWidth}ch + 1.75rem)` }}
        title={exactTime(line.at)}
      >
        {line.number}
      </a>
      {timed ? (
        <time dateTime={line.at} className="shrink-0 select-none text-faint" style={{ width: `${timeColumns}ch` }}>
          {clock.format(new Date(line.at))}
        </time>
      ) : null}
      <span
        className={cn(
          'min-w-0 flex-1 overflow-hidden whitespace-break-spaces break-all pr-4',
          line.stream === 'stderr' && !line.text.includes('\u001b') && 'text-warn',
          line.stream === 'system' && 'text-accent-text',
        )}
      >
        {spans === null ? (
          <Highlighted text={line.plain} query={query} current={current} />
        ) : (
          spans.map((span, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the spans are one line cut in order
            <span key={index} className={span.className} style={span.style}>
              {span.text}
            </span>
          ))
        )}
      </span>
    </div>
  )
})
