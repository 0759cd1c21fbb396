'use client'
import { type FormEvent, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import type { EnvironmentView } from '@/shared/environments'
import type { RuntimeSetting } from '@/shared/runtime-settings'
import { useEnvironmentUpdate } from '../use-environment-writes'
import { environmentLabel } from '../use-environments'

/** Settings that an environment may have of its own; the others are those of the project. */
const fields: { name: RuntimeSetting; label: string; hint: string }[] = [
  { name: 'instances', label: 'Instances', hint: 'Visitors are spread over them. With the next deployment.' },
  { name: 'memoryMb', label: 'Memory, MiB', hint: 'Of one instance. With the next deployment.' },
  { name: 'cpus', label: 'CPUs', hint: 'Of one instance; 0.5 is half a core. With the next deployment.' },
  {
    name: 'warmMinutes',
    label: 'Keep warm, minutes',
    hint: 'A replaced version stays in memory, so that a rollback takes milliseconds. 0: not at all.',
  },
  { name: 'watchSeconds', label: 'Watch, seconds', hint: 'A new version that is worse than the one before is rolled back. 0: not watched.' },
  { name: 'watchErrorPercent', label: 'Watch: errors, %', hint: 'Server errors above those of the version before.' },
  { name: 'watchLatencyFactor', label: 'Watch: times slower', hint: '95th percentile, compared with the version before.' },
]

/** Branch and settings of an environment. */
export function EnvironmentSettings({ environment, onClose }: { environment: EnvironmentView; onClose: () => void }) {
  const label = environmentLabel(environment)
  const own = (name: RuntimeSetting) => (environment.ownSettings.includes(name) ? String(environment.runtimeSettings[name]) : '')
  const [branch, setBranch] = useState(environment.branch ?? '')
  const [texts, setTexts] = useState<Partial<Record<RuntimeSetting, string>>>({})
  const save = useEnvironmentUpdate(`Settings of ${label} saved`, onClose)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const changed = Object.entries(texts).map(([name, text]) => [name, text.trim() === '' ? null : Number(text)])
    save.mutate({
      environment: environment.id,
      ...(changed.length > 0 ? { runtimeSettings: Object.fromEntries(changed) } : {}),
      ...(branch.trim() === (environment.branch ?? '') ? {} : { branch: branch.trim() || null }),
    })
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Settings of ${label}`}
      description="Empty fields are inherited: the value in grey is in effect."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {environment.kind === 'preview' ? null : (
          <TextField
            label="Branch"
            mono
            value={branch}
            onChange={(event) => setBranch(event.target.value)}
            placeholder={environment.kind === 'production' ? 'Branch of the project' : 'None'}
            hint="Pushes to this branch are deployed to it."
            autoComplete="off"
          />
        )}
        <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
          {fields.map(({ name, label: text, hint }) => (
            <TextField
              key={name}
              label={text}
              hint={hint}
              type="number"
              min={0}
              step="any"
              placeholder={String(environment.runtimeSettings[name])}
              value={texts[name] ?? own(name)}
              onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
              autoComplete="off"
            />
          ))}
        </div>
        {save.error ? <ErrorPanel error={wireErrorOf(save.error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
