'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { cn } from '@/app/lib/cn'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectInput, ProjectView } from '@/shared/views'

/** State of a group of text fields that are saved together: saved values until they are edited. */
export function useSettings<Name extends string>(project: ProjectView, title: string, saved: (name: Name) => string) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [edits, setEdits] = useState<Partial<Record<Name, string>>>({})
  const update = useMutation(
    trpc.projects.update.mutationOptions({
      onSuccess: async () => {
        toast.success(`${title} saved`)
        await queryClient.invalidateQueries({ queryKey: trpc.projects.pathKey() })
        setEdits({})
      },
    }),
  )
  return {
    title,
    textOf: (name: Name): string => edits[name] ?? saved(name),
    edit: (name: Name, text: string) => setEdits({ ...edits, [name]: text }),
    dirty: Object.entries(edits).some(([name, text]) => text !== saved(name as Name)),
    discard: () => setEdits({}),
    save: (patch: Partial<ProjectInput>) => update.mutate({ project: project.id, ...patch }),
    pending: update.isPending,
    error: update.error ? wireErrorOf(update.error) : null,
  }
}

interface SettingsCardProps {
  settings: Pick<ReturnType<typeof useSettings>, 'title' | 'dirty' | 'discard' | 'save' | 'pending' | 'error'>
  description?: string
  /** Saved values. */
  patch: () => Partial<ProjectInput>
  /** Two fields per row on wide screens. */
  paired?: boolean
  children: ReactNode
}

/** A group of fields with its error and its buttons. */
export function SettingsCard({ settings, description, patch, paired = false, children }: SettingsCardProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault()
    settings.save(patch())
  }
  return (
    <Card>
      <CardHeader title={settings.title} description={description} />
      <form onSubmit={submit}>
        <div className={cn('grid grid-cols-1 gap-4 px-4 pb-5 sm:px-5', paired && 'sm:grid-cols-2')}>
          {children}
          {settings.error ? <ErrorPanel className="col-span-full" error={settings.error} /> : null}
        </div>
        <CardFooter className="justify-end">
          {settings.dirty ? (
            <Button variant="ghost" onClick={settings.discard}>
              Discard
            </Button>
          ) : null}
          <Button type="submit" variant="primary" pending={settings.pending} disabled={!settings.dirty}>
            Save
          </Button>
        </CardFooter>
      </form>
    </Card>
  )
}
