'use client'
import type { FormEvent, ReactNode } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import type { WireError } from '@/shared/errors'

interface RuleCardProps {
  title: string
  description: ReactNode
  actions?: ReactNode
  children: ReactNode
  /** True when a field differs from its saved value. */
  dirty: boolean
  pending: boolean
  error: WireError | null
  onSave(): void
  onDiscard(): void
}

/** Card of rules that are saved together. */
export function RuleCard({ title, description, actions, children, dirty, pending, error, onSave, onDiscard }: RuleCardProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onSave()
  }
  return (
    <Card aria-label={title}>
      <CardHeader title={title} description={description} actions={actions} />
      <form onSubmit={submit}>
        <div className="flex flex-col gap-4 px-4 pb-5 sm:px-5">
          {children}
          {error ? <ErrorPanel error={error} /> : null}
        </div>
        {dirty || pending ? (
          <CardFooter className="justify-end">
            <Button variant="ghost" onClick={onDiscard} disabled={pending}>
              Discard
            </Button>
            <Button type="submit" variant="primary" pending={pending}>
              Save
            </Button>
          </CardFooter>
        ) : null}
      </form>
    </Card>
  )
}

/** Splits a text with an address or range per line into a list. */
export const linesOf = (text: string): string[] => text.split(/[\s,]+/).filter((line) => line !== '')
