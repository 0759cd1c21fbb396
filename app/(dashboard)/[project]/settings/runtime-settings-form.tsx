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
    hint: 'How long requests, downloads and WebSockets of a replaced version may continue. Up to 86400 (a day). Takes effect at once.',
  },
  {
    name: 'drainVersions',
    label: 'Replaced versions that drain at once',
    hint: 'Each version keeps its memory until it has drained. Beyond this number the oldest is stopped.',
  },
  {
    name: 'startSeconds',
    label: 'Start time, seconds',
    hint: 'Time until the first healthy response. This and all settings below take effect with the next deployment.',
  },
  {
    name: 'errorAnswersPercent',
    label: 'Error answers, % of the start time',
    hint: 'A start fails early if all checks got an error status for this long. 100 waits the whole time.',
  },
  { name: 'healthIntervalMs', label: 'Health check interval, ms', hint: 'Time between two checks while an instance starts.' },
  { name: 'healthTimeoutMs', label: 'Health check time-out, ms', hint: 'Of one check.' },
  { name: 'healthySuccesses', label: 'Healthy answers in a row', hint: 'Number of healthy responses before an instance gets traffic.' },
  {
    name: 'latencyThresholdMs',
    label: 'Latency threshold, ms',
    hint: 'A check that takes longer counts as unhealthy. Must be less than the time-out.',
  },
  { name: 'memoryMb', label: 'Memory, MiB', hint: 'Of one instance.' },
  { name: 'cpus', label: 'CPUs', hint: 'CPU limit of one instance; 0.5 is half a core.' },
  { name: 'stopGraceSeconds', label: 'Stop grace, seconds', hint: 'Time between SIGTERM and SIGKILL. Takes effect at once.' },
]

/** Runtime settings of a project. An empty field means the default. */
export function RuntimeSettingsForm({ project }: { project: ProjectView }) {
  const settings = useSettings(project, 'Runtime', (name: RuntimeSetting) => {
    const value = project.runtimeSettings[name]
    return value === defaultRuntimeSettings[name] ? '' : String(value)
  })
  const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text))
  const patch = () => ({ runtimeSettings: Object.fromEntries(fields.map(({ name }) => [name, numberOf(settings.textOf(name))])) })
  return (
    <SettingsCard settings={settings} description="How instances of this project start, run and stop." patch={patch} paired>
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
