import { CircleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { plainText } from '@/app/components/logs/ansi'
import { cn } from '@/app/lib/cn'
import type { ErrorDetails } from '@/shared/errors'

/** Any error of ours, as it came over the wire or was kept with a deployment. */
export interface ShownError extends Omit<ErrorDetails, 'retryAfterSeconds'> {
  message: string
}

/** What failed, at which step, what still serves, what to do next: in this order, always. */
export function ErrorPanel({ error, title, actions, className }: { error: ShownError; title?: string; actions?: ReactNode; className?: string }) {
  // A message may quote what a command said last, below its first line.
  const [reason, ...quoted] = error.message.split('\n')
  const output = quoted.filter((line) => !/^It said last:$/.test(line)).map((line) => plainText(line).replace(/^ {2}/, ''))
  return (
    <div role="alert" className={cn('flex gap-3 rounded-lg border border-bad/30 bg-bad-soft p-3.5', className)}>
      <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="break-words font-medium text-bad">{title ?? reason}</p>
        {title ? <p className="mt-0.5 break-words">{reason}</p> : null}
        {output.length > 0 ? (
          <pre className="mt-2 max-h-48 overflow-auto rounded-md border bg-console px-3 py-2 font-mono text-xs leading-5">{output.join('\n')}</pre>
        ) : null}
        <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 text-sm empty:hidden">
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
      <dd className="min-w-0 break-words">{text}</dd>
    </>
  )
}
