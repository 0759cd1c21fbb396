import { CopyButton } from '@/app/components/ui/copy-button'
import { cn } from '@/app/lib/cn'
import type { DnsRecord } from '@/shared/domains'

/** A table row on wide screens, a block of labelled lines on narrow screens. */
const rowLook = 'grid gap-x-3 gap-y-1 px-3 py-2 sm:grid-cols-[4.5rem_minmax(0,1fr)_minmax(0,1.6fr)] sm:items-center sm:py-1.5'

function Cell({ term, text, detail, copyLabel }: { term: string; text: string; detail?: string | undefined; copyLabel: string }) {
  return (
    <td className="flex min-w-0 items-center gap-1">
      <span className="w-14 shrink-0 text-faint text-sm sm:hidden">{term}</span>
      <span className="min-w-0 flex-1 sm:flex-initial">
        <code className="block break-all font-mono text-sm">{text}</code>
        {detail ? <span className="block break-all text-faint text-xs">{detail}</span> : null}
      </span>
      <CopyButton text={text} label={copyLabel} className="shrink-0" />
    </td>
  )
}

/** DNS records in the format that DNS hosts expect: type, name relative to the zone, value. Name and value have copy buttons. */
export function RecordTable({ records, label, className }: { records: DnsRecord[]; label: string; className?: string }) {
  return (
    <div className={cn('overflow-hidden rounded-lg border bg-console', className)}>
      <table aria-label={label} className="block text-left">
        <thead className="hidden sm:block">
          <tr className={cn(rowLook, 'border-b bg-sunken text-faint text-sm')}>
            <th className="font-normal">Type</th>
            <th className="font-normal">Name</th>
            <th className="font-normal">Value</th>
          </tr>
        </thead>
        <tbody className="block divide-y">
          {records.map((record) => (
            <tr key={`${record.type} ${record.name} ${record.value}`} className={rowLook}>
              <td className="flex items-center gap-1">
                <span className="w-14 shrink-0 text-faint text-sm sm:hidden">Type</span>
                <span className="font-medium text-sm">{record.type}</span>
              </td>
              <Cell
                term="Name"
                text={record.host}
                detail={record.name === record.host ? undefined : record.name}
                copyLabel={`Copy name ${record.host}`}
              />
              <Cell term="Value" text={record.value} copyLabel={`Copy value ${record.value}`} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Notes about the records above. */
export function Notes({ notes }: { notes: string[] }) {
  return notes.map((note) => (
    <p key={note} className="text-sm text-warn">
      {note}
    </p>
  ))
}
