import { CircleAlert, CircleCheck, CircleHelp, type LucideIcon, TriangleAlert } from 'lucide-react'
import { Card, CardHeader } from '@/app/components/ui/card'
import { cn } from '@/app/lib/cn'
import { checkTitles, type DomainCheck } from '@/shared/domains'
import { RecordTable } from '../record-table'

const looks: Record<DomainCheck['state'], { icon: LucideIcon; tone: string; word: string }> = {
  ok: { icon: CircleCheck, tone: 'text-good', word: 'Passed' },
  warn: { icon: TriangleAlert, tone: 'text-warn', word: 'Warning' },
  fail: { icon: CircleAlert, tone: 'text-bad', word: 'Failed' },
  unknown: { icon: CircleHelp, tone: 'text-faint', word: 'Not known yet' },
}

function Check({ check }: { check: DomainCheck }) {
  const { icon: Icon, tone, word } = looks[check.state]
  const title = checkTitles[check.id]
  return (
    <li className="flex gap-3 px-4 py-3 sm:px-5" aria-label={`${title}: ${word}`}>
      <Icon className={cn('mt-0.5 size-4 shrink-0', tone)} aria-hidden />
      <div className="min-w-0 flex-1">
        <div className="flex flex-wrap items-baseline justify-between gap-x-3">
          <h3 className="font-medium">{title}</h3>
          <span className={cn('text-sm', tone)}>{word}</span>
        </div>
        <p className="break-words text-muted">{check.cause}</p>
        {check.fix && check.state !== 'ok' ? <p className="mt-1 break-words">{check.fix}</p> : null}
        {check.remove.length > 0 ? (
          <>
            <p className="mt-2 mb-1 font-medium text-sm">Remove</p>
            <RecordTable records={check.remove} label={`Records to remove: ${title}`} />
          </>
        ) : null}
        {check.set.length > 0 ? (
          <>
            <p className="mt-2 mb-1 font-medium text-sm">Set</p>
            <RecordTable records={check.set} label={`Records to set: ${title}`} />
          </>
        ) : null}
      </div>
    </li>
  )
}

/** Results of the domain doctor, one item per check. */
export function CheckList({ checks }: { checks: DomainCheck[] }) {
  const open = checks.filter((check) => check.state === 'fail').length
  const description =
    checks.length === 0 ? 'The first check is running.' : open === 0 ? 'All completed checks passed.' : `${open} of ${checks.length} failed.`
  return (
    <Card className="mt-6">
      <CardHeader title="Checks" description={description} />
      {checks.length > 0 ? (
        <ul className="divide-y border-t">
          {checks.map((check) => (
            <Check key={check.id} check={check} />
          ))}
        </ul>
      ) : null}
    </Card>
  )
}
