'use client'
import { TextField } from '@/app/components/ui/field'
import { defaultRuntimeSettings, type RuntimeSetting } from '@/shared/runtime-settings'
import type { ProjectView } from '@/shared/views'
import { SettingsCard, useSettings } from './settings-card'

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
  {
    name: 'errorAnswersPercent',
    label: 'Error answers, % of the start time',
    hint: 'A start fails early when all checks were answered with an error status for this long. 100 waits the whole time.',
  },
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
  const settings = useSettings(project, 'Runtime', (name: RuntimeSetting) => {
    const value = project.runtimeSettings[name]
    return value === defaultRuntimeSettings[name] ? '' : String(value)
  })
  const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text))
  const patch = () => ({ runtimeSettings: Object.fromEntries(fields.map(({ name }) => [name, numberOf(settings.textOf(name))])) })
  return (
    <SettingsCard settings={settings} description="How the instances of this project run and end." patch={patch} paired>
      {fields.map(({ name, label, hint }) => (
        <TextField
          key={name}
          label={label}
          hint={hint}
          type="number"
          min={0}
          step="any"
          placeholder={String(defaultRuntimeSettings[name])}
          value={settings.textOf(name)}
          onChange={(event) => settings.edit(name, event.target.value)}
          autoComplete="off"
        />
      ))}
    </SettingsCard>
  )
}
