import { CircleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { plainText } from '@/app/components/logs/ansi'
import { cn } from '@/app/lib/cn'
import type { ErrorDetails } from '@/shared/errors'
import { firstErrorTitle, lastLinesTitle } from '@/shared/first-error'

/** An error of the API, or the stored error of a deployment. */
export interface ShownError extends Omit<ErrorDetails, 'retryAfterSeconds'> {
  message: string
}

const tones = {
  bad: { panel: 'border-bad/30 bg-bad-soft', text: 'text-bad' },
  /** `warn`: the app is still served. */
  warn: { panel: 'border-warn/30 bg-warn-soft', text: 'text-warn' },
}

interface ErrorPanelProps {
  /** Id for `aria-describedby` of the related fields. */
  id?: string
  error: ShownError
  title?: string
  tone?: keyof typeof tones
  /** Shown above the message. */
  facts?: { term: string; text: string }[]
  /** Shown below the message. */
  children?: ReactNode
  actions?: ReactNode
  className?: string
}

/** Splits a message into its first line and quoted output (the first error, then the last lines). */
function partsOf(message: string): { reason: string; first: string[]; last: string[] } {
  const [reason = '', ...quoted] = message.split('\n')
  const lines = quoted.map((line) => plainText(line))
  const from = lines.indexOf(lastLinesTitle)
  const text = (part: string[]) => part.filter((line) => line !== firstErrorTitle && line !== lastLinesTitle).map((line) => line.replace(/^ {2}/, ''))
  // Quoted lines without a title are an error of its own kind, a stack of a schema, say.
  return from === -1 ? { reason, first: text(lines), last: [] } : { reason, first: text(lines.slice(0, from)), last: text(lines.slice(from)) }
}

/** Text of the line in the log that says what went wrong: the first error, or the reason itself. */
export function lineOfError(message: string): string {
  const { reason, first, last } = partsOf(message)
  return first[0] ?? last.at(-1) ?? reason
}

function Quote({ title, lines }: { title: string | null; lines: string[] }) {
  return (
    <>
      {title ? <p className="mt-2 text-muted text-sm">{title}</p> : null}
      <pre className="mt-1 max-h-48 overflow-auto rounded-md border bg-console px-3 py-2 font-mono text-xs leading-5">{lines.join('\n')}</pre>
    </>
  )
}

/** Shows an error in a fixed order: what failed, at which step, what still serves, what to do next. */
export function ErrorPanel({ id, error, title, tone = 'bad', facts = [], children, actions, className }: ErrorPanelProps) {
  const { reason, first, last } = partsOf(error.message)
  return (
    <div id={id} role="alert" className={cn('flex gap-3 rounded-lg border p-3.5', tones[tone].panel, className)}>
      <CircleAlert className={cn('mt-0.5 size-4 shrink-0', tones[tone].text)} aria-hidden />
      <div className="min-w-0 flex-1">
        <p className={cn('break-words font-medium', tones[tone].text)}>{title ?? reason}</p>
        {title && reason ? <p className="wrap-anywhere mt-0.5">{reason}</p> : null}
        {children}
        {first.length > 0 ? <Quote title={last.length > 0 ? firstErrorTitle : null} lines={first} /> : null}
        {last.length > 0 ? <Quote title={first.length > 0 ? lastLinesTitle : null} lines={last} /> : null}
        <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 text-sm empty:hidden">
          {facts.map(({ term, text }) => (
            <Row key={term} term={term} text={text} />
          ))}
          {error.step ? <Row term="Step" text={error.step} /> : null}
          {error.stillServing ? <Row term="Still serving" text={error.stillServing} /> : null}
          {error.nextAction ? <Row term="Next" text={error.nextAction} /> : null}
        </dl>
        {actions ? <div className="mt-3 flex flex-wrap gap-2">{actions}</div> : null}
      </div>
    </div>
  )
}

function Row({ term, text }: { term: string; text: string }) {
  return (
    <>
      <dt className="text-muted">{term}</dt>
      <dd className="wrap-anywhere min-w-0">{text}</dd>
    </>
  )
}
