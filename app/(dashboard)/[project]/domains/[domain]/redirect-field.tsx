'use client'
import { useQuery } from '@tanstack/react-query'
import { useId } from 'react'
import { SelectField, TextField } from '@/app/components/ui/field'
import { useTRPC } from '@/app/lib/trpc'
import { useSettled } from '@/app/lib/use-settled'
import type { DomainView } from '@/shared/domains'

interface RedirectFieldProps {
  domain: DomainView
  /** Hostname; null: no redirect. */
  value: string | null
  onValue: (value: string | null) => void
}

const hint = 'Permanent redirect (308) that keeps path and query.'
const mayBeTarget = (domain: DomainView) => (other: DomainView) => other.id !== domain.id && other.kind !== 'wildcard' && other.redirectTo === null

/** Redirect destination: a select of the project's domains, or a search field when there are too many for a select. */
export function RedirectField(props: RedirectFieldProps) {
  const { domain, value, onValue } = props
  const trpc = useTRPC()
  const { data } = useQuery(trpc.domains.list.queryOptions({ project: domain.projectId, limit: 100 }))
  if (data?.nextCursor) return <TypedTarget {...props} />
  const targets = (data?.items ?? []).filter(mayBeTarget(domain))
  return (
    <SelectField label="Redirect to" value={value ?? ''} onChange={(event) => onValue(event.target.value || null)} hint={hint}>
      <option value="">No redirect: serve the app</option>
      {targets.map((target) => (
        <option key={target.id} value={target.hostname}>
          {target.displayName}
        </option>
      ))}
    </SelectField>
  )
}

function TypedTarget({ domain, value, onValue }: RedirectFieldProps) {
  const trpc = useTRPC()
  const listId = useId()
  const search = useSettled(value?.trim() ?? '')
  const { data } = useQuery(trpc.domains.list.queryOptions({ project: domain.projectId, limit: pageOfTargets, ...(search ? { search } : {}) }))
  return (
    <>
      <TextField
        label="Redirect to"
        value={value ?? ''}
        onChange={(event) => onValue(event.target.value.trim() || null)}
        placeholder="No redirect: serve the app"
        hint={`A domain of this project. ${hint}`}
        list={listId}
        autoComplete="off"
        mono
      />
      <datalist id={listId}>
        {(data?.items ?? []).filter(mayBeTarget(domain)).map((target) => (
          <option key={target.id} value={target.hostname} />
        ))}
      </datalist>
    </>
  )
}

const pageOfTargets = 20
