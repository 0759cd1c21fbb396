'use client'
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'

/** Has the routers forget answers they keep: those of some tags and paths, or all. */
export function PurgeCache({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const [tags, setTags] = useState('')
  const [routes, setRoutes] = useState('')
  const purge = useMutation(
    trpc.projects.purge.mutationOptions({
      onSuccess: ({ entries }) => {
        toast.success(entries === 0 ? 'Nothing was kept of that' : `${entries} kept ${entries === 1 ? 'answer' : 'answers'} removed`)
        setTags('')
        setRoutes('')
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    purge.mutate({ project: project.id, tags: words(tags), paths: words(routes) })
  }
  const all = tags.trim() === '' && routes.trim() === ''
  return (
    <Card>
      <CardHeader
        title="Cache"
        description="Routers keep answers that your app marks as shared, until they expire, the next deployment, or a purge. Effective at once."
      />
      <form onSubmit={submit}>
        <div className="grid grid-cols-1 gap-4 px-4 pb-5 sm:grid-cols-2 sm:px-5">
          <TextField
            label="Tags"
            mono
            placeholder="posts products"
            value={tags}
            onChange={(event) => setTags(event.target.value)}
            hint="As sent in Cache-Tag or Surrogate-Key."
            autoComplete="off"
          />
          <TextField
            label="Paths"
            mono
            placeholder="/ /blog/*"
            value={routes}
            onChange={(event) => setRoutes(event.target.value)}
            hint="A * at the end means everything below."
            autoComplete="off"
          />
          {purge.error ? <ErrorPanel className="col-span-full" error={wireErrorOf(purge.error)} /> : null}
        </div>
        <CardFooter className="justify-end">
          <Button type="submit" pending={purge.isPending}>
            {all ? 'Purge everything' : 'Purge'}
          </Button>
        </CardFooter>
      </form>
    </Card>
  )
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '')
