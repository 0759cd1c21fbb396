'use client'
import { useMutation } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { type FormEvent, useRef, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { newRow, type VariableDraft, VariableRowsEditor } from '@/app/components/variable-rows-editor'
import { ScopeField, type VariableScope } from '@/app/components/variable-scope'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { VariableView } from '@/shared/views'
import { useVariablesChanged, type VariablesOf } from './use-variable-writes'

interface AddVariablesProps {
  of: VariablesOf
  existing: VariableView[]
  onChanged: () => void
}

/** Adds a variable or the variables of a pasted file. An existing name gets the new value. */
export function AddVariables({ of, existing, onChanged }: AddVariablesProps) {
  const trpc = useTRPC()
  const refresh = useVariablesChanged(of, onChanged)
  const [rows, setRows] = useState<VariableDraft[]>(() => [newRow()])
  const [scope, setScope] = useState<VariableScope>('both')
  const [error, setError] = useState<unknown>(null)
  const [saving, setSaving] = useState(false)
  const set = useMutation(trpc.variables.set.mutationOptions())
  const form = useRef<HTMLFormElement>(null)
  const filled = rows.filter((row) => row.key.trim() !== '')
  const replaced = filled.filter((row) => existing.some((variable) => variable.key === row.key.trim()))

  async function submit(event: FormEvent) {
    event.preventDefault()
    setSaving(true)
    setError(null)
    let left = filled
    try {
      // Save sequentially: after an error, saved rows are gone and the failed row is at the top.
      for (const row of filled) {
        const saved = await set.mutateAsync({ ...of, key: row.key.trim(), value: row.value, scope })
        if (saved.caution) toast.warning(`${saved.key}: ${saved.caution}`, { duration: 15_000 })
        left = left.slice(1)
      }
      toast.success(filled.length === 1 ? `${filled[0]?.key.trim()} saved` : `${filled.length} variables saved`)
    } catch (problem) {
      setError(problem)
    }
    setRows(left.length > 0 ? left : [newRow()])
    setSaving(false)
    await refresh()
    form.current?.querySelector('input')?.focus()
  }

  return (
    <Card>
      <CardHeader title="Add variables" description="Type a name and a value, or paste the contents of a .env file into the name." />
      <form ref={form} onSubmit={submit}>
        <div className="flex flex-col gap-4 px-4 pb-4 sm:px-5">
          <VariableRowsEditor rows={rows} onRows={setRows} />
          {error ? <ErrorPanel error={wireErrorOf(error)} /> : null}
        </div>
        <CardFooter>
          <ScopeField value={scope} onScope={setScope} labelHidden className="w-44" />
          <div className="flex items-center gap-3">
            {replaced.length > 0 ? <span className="text-sm text-warn">Replaces {replaced.map((row) => row.key.trim()).join(', ')}</span> : null}
            <Button type="submit" variant="primary" pending={saving} disabled={filled.length === 0}>
              <Plus /> {filled.length > 1 ? `Save ${filled.length} variables` : 'Save variable'}
            </Button>
          </div>
        </CardFooter>
      </form>
    </Card>
  )
}
