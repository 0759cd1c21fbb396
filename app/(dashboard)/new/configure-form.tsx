'use client'
import { useQuery } from '@tanstack/react-query'
import { Rocket } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { newRow, VariableRowsEditor } from '@/app/components/variable-rows-editor'
import { wireErrorOf } from '@/app/lib/errors'
import { hostOf, nameFromRepository } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import { slugify } from '@/shared/naming'
import type { InspectionView } from '@/shared/views'
import { Detection } from './detection'
import type { Source } from './source-form'
import { useCreateAndDeploy } from './use-create-and-deploy'

type Overrides = InspectionView['settings']

const commandFields: { name: keyof Overrides; label: string }[] = [
  { name: 'installCommand', label: 'Install command' },
  { name: 'buildCommand', label: 'Build command' },
  { name: 'outputDirectory', label: 'Output directory' },
  { name: 'startCommand', label: 'Start command' },
]
const noOverrides: Record<keyof Overrides, string> = { installCommand: '', buildCommand: '', startCommand: '', outputDirectory: '' }

/** Second step: detected settings, overrides, variables, start of the first deployment. */
export function ConfigureForm({ source, inspection }: { source: Source; inspection: InspectionView }) {
  const [name, setName] = useState(() => nameFromRepository(source.rootDirectory ?? source.repository))
  const [overrides, setOverrides] = useState(noOverrides)
  const [rows, setRows] = useState(() => [newRow()])
  const create = useCreateAndDeploy()
  const slug = slugify(name)
  const system = useQuery(useTRPC().system.status.queryOptions())

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const commands = Object.fromEntries(Object.entries(overrides).map(([key, value]) => [key, value.trim() || null]))
    create.mutate({ input: { name: name.trim(), ...source, ...commands }, variables: rows.filter((row) => row.key.trim() !== '') })
  }

  return (
    <form onSubmit={submit}>
      <Detection inspection={inspection} />
      <Card className="mt-6">
        <CardHeader title="Project" />
        <div className="px-4 pb-5 sm:px-5">
          <TextField
            label="Name"
            required
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
            autoComplete="off"
            hint={slug && system.data ? `It will answer at ${hostOf(system.data.appUrlPattern.replace('*', slug))}` : '\u00a0'}
            error={name && !slug ? 'Use at least one letter or digit: the name becomes the address.' : null}
          />
        </div>
      </Card>
      <Card className="mt-6">
        <CardHeader title="Build and start" description="Detected from the repository. Fill in a field only to override the detected value." />
        <div className="grid gap-4 px-4 pb-5 sm:grid-cols-2 sm:px-5">
          {commandFields.map((field) => (
            <TextField
              key={field.name}
              label={field.label}
              mono
              autoComplete="off"
              value={overrides[field.name]}
              placeholder={inspection.settings[field.name] ?? 'None'}
              onChange={(event) => setOverrides({ ...overrides, [field.name]: event.target.value })}
            />
          ))}
        </div>
      </Card>
      <Card className="mt-6">
        <CardHeader
          title="Variables"
          description="For build and runtime, encrypted at rest. Paste a .env file into a name to add all of its variables."
        />
        <div className="px-4 pb-4 sm:px-5">
          <VariableRowsEditor rows={rows} onRows={setRows} />
        </div>
      </Card>
      {create.error ? <ErrorPanel className="mt-6" title="The deployment could not be started" error={wireErrorOf(create.error)} /> : null}
      <Card className="mt-6 overflow-hidden">
        <CardFooter className="border-t-0">
          <p className="text-muted">You can watch the build live on the next page.</p>
          <Button type="submit" variant="primary" size="lg" pending={create.isPending || create.isSuccess} disabled={!slug}>
            <Rocket /> Deploy
          </Button>
        </CardFooter>
      </Card>
    </form>
  )
}
