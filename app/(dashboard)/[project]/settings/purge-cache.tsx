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

/** Purges cached responses by tag and path; with empty fields, all cached responses of the project. */
export function PurgeCache({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const [tags, setTags] = useState('')
  const [routes, setRoutes] = useState('')
  const purge = useMutation(
    trpc.projects.purge.mutationOptions({
      onSuccess: ({ entries }) => {
        toast.success(entries === 0 ? 'No cached response matched' : `${entries} cached ${entries === 1 ? 'response' : 'responses'} removed`)
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
        description="Routers cache responses that your app marks as cacheable until they expire, the next deployment, or a purge. A purge takes effect at once."
      />
      <form onSubmit={submit}>
        <div className="grid grid-cols-1 gap-4 px-4 pb-5 sm:grid-cols-2 sm:px-5">
          <TextField
            label="Tags"
            mono
            placeholder="posts products"
            value={tags}
            onChange={(event) => setTags(event.target.value)}
            hint="Tags from Cache-Tag or Surrogate-Key headers."
            autoComplete="off"
          />
          <TextField
            label="Paths"
            mono
            placeholder="/ /blog/*"
            value={routes}
            onChange={(event) => setRoutes(event.target.value)}
            hint="A trailing * matches every path below."
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
