'use client'
import { LoaderCircle, Search } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'

export interface Source {
  repository: string
  branch: string | null
  rootDirectory: string | null
}

interface SourceFormProps {
  pending: boolean
  error: unknown
  inspected: boolean
  onInspect: (source: Source) => void
  /** Called when the inspected repository or branch is edited. */
  onEdit: () => void
}

/** First step: repository and branch. */
export function SourceForm({ pending, error, inspected, onInspect, onEdit }: SourceFormProps) {
  const [source, setSource] = useState({ repository: '', branch: '', rootDirectory: '' })
  const edit = (change: Partial<typeof source>) => {
    setSource({ ...source, ...change })
    if (inspected) onEdit()
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onInspect({ repository: source.repository.trim(), branch: source.branch.trim() || null, rootDirectory: source.rootDirectory.trim() || null })
  }
  return (
    <Card>
      <CardHeader title="Repository" description="Switchyard fetches it once to find out how to build it. Nothing is deployed yet." />
      <form onSubmit={submit}>
        <div className="flex flex-col gap-4 px-4 pb-5 sm:px-5">
          <TextField
            label="Git URL"
            mono
            required
            autoFocus
            autoComplete="off"
            placeholder="https://github.com/you/app.git"
            value={source.repository}
            onChange={(event) => edit({ repository: event.target.value })}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <TextField
              label="Branch"
              mono
              autoComplete="off"
              placeholder="Default branch"
              value={source.branch}
              onChange={(event) => edit({ branch: event.target.value })}
            />
            <TextField
              label="Root directory"
              mono
              autoComplete="off"
              placeholder="./"
              value={source.rootDirectory}
              onChange={(event) => edit({ rootDirectory: event.target.value })}
            />
          </div>
          {error ? <ErrorPanel title="The repository could not be inspected" error={wireErrorOf(error)} /> : null}
        </div>
        {inspected ? null : (
          <CardFooter className="justify-end">
            {pending ? (
              <span role="status" className="mr-auto flex items-center gap-2 text-muted">
                <LoaderCircle className="size-4 animate-spin" aria-hidden /> Fetching the repository…
              </span>
            ) : null}
            <Button type="submit" variant="primary" pending={pending}>
              <Search /> Inspect repository
            </Button>
          </CardFooter>
        )}
      </form>
    </Card>
  )
}
