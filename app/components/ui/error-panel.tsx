import { CircleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { plainText } from '@/app/components/logs/ansi'
import { cn } from '@/app/lib/cn'
import type { ErrorDetails } from '@/shared/errors'

/** Any error of ours, as it came over the wire or was kept with a deployment. */
export interface ShownError extends Omit<ErrorDetails, 'retryAfterSeconds'> {
  message: string
}

const tones = {
  bad: { panel: 'border-bad/30 bg-bad-soft', text: 'text-bad' },
  /** What matters serves. */
  warn: { panel: 'border-warn/30 bg-warn-soft', text: 'text-warn' },
}

interface ErrorPanelProps {
  error: ShownError
  title?: string
  tone?: keyof typeof tones
  /** Told before the rest. */
  facts?: { term: string; text: string }[]
  /** Below the message. */
  children?: ReactNode
  actions?: ReactNode
  className?: string
}

/** What failed, at which step, what still serves, what to do next: in this order, always. */
export function ErrorPanel({ error, title, tone = 'bad', facts = [], children, actions, className }: ErrorPanelProps) {
  // A message may quote what a command said last, below its first line.
  const [reason, ...quoted] = error.message.split('\n')
  const output = quoted.filter((line) => !/^It said last:$/.test(line)).map((line) => plainText(line).replace(/^ {2}/, ''))
  return (
    <div role="alert" className={cn('flex gap-3 rounded-lg border p-3.5', tones[tone].panel, className)}>
      <CircleAlert className={cn('mt-0.5 size-4 shrink-0', tones[tone].text)} aria-hidden />
      <div className="min-w-0 flex-1">
        <p className={cn('break-words font-medium', tones[tone].text)}>{title ?? reason}</p>
        {title && reason ? <p className="wrap-anywhere mt-0.5">{reason}</p> : null}
        {children}
        {output.length > 0 ? (
          <pre className="mt-2 max-h-48 overflow-auto rounded-md border bg-console px-3 py-2 font-mono text-xs leading-5">{output.join('\n')}</pre>
        ) : null}
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
