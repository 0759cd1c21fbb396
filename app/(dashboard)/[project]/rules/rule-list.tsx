'use client'
import { FileText, Plus, Trash2 } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { RuleCard } from './rule-card'
import { useSaveRules } from './use-rules'

type ListKey = 'redirects' | 'rewrites' | 'headers' | 'rateLimits'

interface Conditional {
  source: string
  has?: unknown[] | undefined
  missing?: unknown[] | undefined
}

interface RuleListProps<R extends Conditional> {
  field: ListKey
  title: string
  description: ReactNode
  /** Saved rules. */
  rules: readonly R[]
  /** Rules in files of the live deployment: read-only here. */
  fromFiles: readonly R[]
  blank: R
  /** Renders the inputs of a rule. */
  edit(rule: R, change: (rule: R) => void, number: number): ReactNode
  /** Renders a rule as a line of text. */
  show(rule: R): string
}

/** Rules of one kind: editable rows for the rules set here, then the rules of the files. */
export function RuleList<R extends Conditional>({ field, title, description, rules, fromFiles, blank, edit, show }: RuleListProps<R>) {
  const [edits, setEdits] = useState<readonly Row<R>[] | null>(null)
  const { save, pending, error } = useSaveRules(title, edits !== null, () => setEdits(null))
  const rows = edits ?? rules.map((rule, i) => ({ id: `saved-${i}`, rule }))
  const change = (id: string, rule: R) => setEdits(rows.map((row) => (row.id === id ? { id, rule } : row)))
  const add = () => setEdits([...rows, { id: `new-${Date.now()}-${rows.length}`, rule: blank }])
  return (
    <RuleCard
      title={title}
      description={description}
      actions={
        <Button size="sm" onClick={add}>
          <Plus /> Add
        </Button>
      }
      dirty={edits !== null}
      pending={pending}
      error={error}
      onSave={() => save(rows.length > 0 ? { [field]: rows.map(({ rule }) => rule) } : { reset: [field] })}
      onDiscard={() => setEdits(null)}
    >
      {rows.length === 0 && fromFiles.length === 0 ? <p className="text-faint text-sm">None yet.</p> : null}
      {rows.map(({ id, rule }, i) => (
        <div key={id} className="flex flex-wrap items-end gap-2 max-sm:not-first:border-t max-sm:not-first:pt-4">
          <div className="grid min-w-0 flex-1 grid-cols-1 gap-2 sm:grid-cols-[minmax(0,1fr)_minmax(0,1fr)_auto]">
            {edit(rule, (next) => change(id, next), i + 1)}
          </div>
          <Button
            size="icon"
            variant="ghost"
            aria-label={`Remove ${title.toLowerCase()} ${i + 1}`}
            onClick={() => setEdits(rows.filter((row) => row.id !== id))}
          >
            <Trash2 />
          </Button>
          <Conditions rule={rule} />
        </div>
      ))}
      {fromFiles.length > 0 ? <FromFiles lines={fromFiles.map(show)} /> : null}
    </RuleCard>
  )
}

interface Row<R> {
  id: string
  rule: R
}

function Conditions({ rule }: { rule: Conditional }) {
  const count = (rule.has?.length ?? 0) + (rule.missing?.length ?? 0)
  return count > 0 ? (
    <p className="w-full text-faint text-sm">{`With ${count} ${count === 1 ? 'condition' : 'conditions'}, set by the API.`}</p>
  ) : null
}

const shownLines = 20

function FromFiles({ lines }: { lines: string[] }) {
  return (
    <div className="rounded-lg border bg-sunken px-3 py-2.5">
      <p className="flex items-center gap-1.5 font-medium text-muted text-sm">
        <FileText className="size-4" aria-hidden /> From the files of the live deployment
      </p>
      <ul className="mt-1.5 flex flex-col gap-1 font-mono text-sm">
        {lines.slice(0, shownLines).map((line, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes its order, and lines may repeat
          <li key={i} className="break-all">
            {line}
          </li>
        ))}
      </ul>
      {lines.length > shownLines ? <p className="mt-1.5 text-faint text-sm">and {lines.length - shownLines} more</p> : null}
    </div>
  )
}
