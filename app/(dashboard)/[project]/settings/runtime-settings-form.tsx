'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { defaultRuntimeSettings, type RuntimeSetting } from '@/shared/runtime-settings'
import type { ProjectView } from '@/shared/views'

interface RuntimeField {
  name: RuntimeSetting
  label: string
  hint: string
}

/** Every setting of shared/runtime-settings.ts that is a number. */
const fields: RuntimeField[] = [
  {
    name: 'drainSeconds',
    label: 'Drain time, seconds',
    hint: 'How long requests, downloads and WebSockets of a replaced version may go on. Up to 86400 (a day). Holds at once.',
  },
  {
    name: 'drainVersions',
    label: 'Replaced versions that drain at once',
    hint: 'Each keeps its memory until it is done. Beyond this number the oldest is ended.',
  },
  { name: 'startSeconds', label: 'Start time, seconds', hint: 'Until the first healthy answer. Holds from the next deployment, as all below.' },
  { name: 'healthIntervalMs', label: 'Health check interval, ms', hint: 'Between two checks while an instance starts.' },
  { name: 'healthTimeoutMs', label: 'Health check time-out, ms', hint: 'Of one check.' },
  { name: 'healthySuccesses', label: 'Healthy answers in a row', hint: 'Before an instance gets traffic.' },
  { name: 'latencyThresholdMs', label: 'Latency threshold, ms', hint: 'A check that takes longer is not healthy. Below the time-out.' },
  { name: 'memoryMb', label: 'Memory, MiB', hint: 'Of one instance.' },
  { name: 'cpus', label: 'CPUs', hint: 'Of one instance; 0.5 is half a core.' },
  { name: 'stopGraceSeconds', label: 'Stop grace, seconds', hint: 'Between SIGTERM and SIGKILL. Holds at once.' },
]

/** How the instances of a project run. An empty field is the default. */
export function RuntimeSettingsForm({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [edits, setEdits] = useState<Partial<Record<RuntimeSetting, string>>>({})
  const saved = (name: RuntimeSetting) => {
    const value = project.runtimeSettings[name]
    return value === defaultRuntimeSettings[name] ? '' : String(value)
  }
  const textOf = (name: RuntimeSetting) => edits[name] ?? saved(name)
  const dirty = fields.some(({ name }) => textOf(name) !== saved(name))
  const update = useMutation(
    trpc.projects.update.mutationOptions({
      onSuccess: async () => {
        toast.success('Runtime saved')
        await queryClient.invalidateQueries({ queryKey: trpc.projects.pathKey() })
        setEdits({})
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const runtimeSettings = Object.fromEntries(fields.map(({ name }) => [name, textOf(name).trim() === '' ? null : Number(textOf(name))]))
    update.mutate({ projectId: project.id, patch: { runtimeSettings } })
  }
  return (
    <Card>
      <CardHeader title="Runtime" description="How the instances of this project run and end." />
      <form onSubmit={submit}>
        <div className="grid grid-cols-1 gap-4 px-4 pb-5 sm:grid-cols-2 sm:px-5">
          {fields.map(({ name, label, hint }) => (
            <TextField
              key={name}
              label={label}
              hint={hint}
              type="number"
              min={0}
              step="any"
              placeholder={String(defaultRuntimeSettings[name])}
              value={textOf(name)}
              onChange={(event) => setEdits({ ...edits, [name]: event.target.value })}
              autoComplete="off"
            />
          ))}
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
