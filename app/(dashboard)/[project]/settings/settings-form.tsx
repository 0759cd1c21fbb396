'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type ComponentProps, type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { cn } from '@/app/lib/cn'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectInput, ProjectView } from '@/shared/views'

interface SettingsField extends Omit<ComponentProps<typeof TextField>, 'name' | 'value' | 'onChange'> {
  name: Exclude<keyof ProjectInput & keyof ProjectView, 'runtimeSettings'>
  /** Values to choose from, with what people read. */
  choices?: Record<string, string>
}

interface SettingsFormProps {
  project: ProjectView
  title: string
  description?: string
  fields: SettingsField[]
  /** Two fields a row where there is room. */
  paired?: boolean
}

/** A group of a project's settings that are saved together. */
export function SettingsForm({ project, title, description, fields, paired = false }: SettingsFormProps) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [edits, setEdits] = useState<Partial<Record<keyof ProjectInput, string>>>({})
  const textOf = (name: SettingsField['name']) => edits[name] ?? project[name] ?? ''
  const dirty = fields.some(({ name }) => textOf(name) !== (project[name] ?? ''))
  const update = useMutation(
    trpc.projects.update.mutationOptions({
      onSuccess: async () => {
        toast.success(`${title} saved`)
        await queryClient.invalidateQueries({ queryKey: trpc.projects.pathKey() })
        setEdits({})
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const patch = Object.fromEntries(fields.map(({ name }) => [name, textOf(name).trim() || null]))
    update.mutate({ projectId: project.id, patch })
  }
  return (
    <Card>
      <CardHeader title={title} description={description} />
      <form onSubmit={submit}>
        <div className={cn('grid grid-cols-1 gap-4 px-4 pb-5 sm:px-5', paired && 'sm:grid-cols-2')}>
          {fields.map(({ choices, ...field }) =>
            choices ? (
              <SelectField
                key={field.name}
                label={field.label}
                hint={field.hint}
                value={textOf(field.name)}
                onChange={(event) => setEdits({ ...edits, [field.name]: event.target.value })}
              >
                {Object.entries(choices).map(([value, text]) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </SelectField>
            ) : (
              <TextField
                key={field.name}
                {...field}
                value={textOf(field.name)}
                onChange={(event) => setEdits({ ...edits, [field.name]: event.target.value })}
                autoComplete="off"
              />
            ),
          )}
          {update.error ? <ErrorPanel className="col-span-full" error={wireErrorOf(update.error)} /> : null}
        </div>
        <CardFooter className="justify-end">
          {dirty ? (
            <Button variant="ghost" onClick={() => setEdits({})}>
              Discard
            </Button>
          ) : null}
          <Button type="submit" variant="primary" pending={update.isPending} disabled={!dirty}>
            Save
          </Button>
        </CardFooter>
      </form>
    </Card>
  )
}
