'use client'
import type { ComponentProps } from 'react'
import { SelectField, TextField } from '@/app/components/ui/field'
import type { ProjectInput, ProjectView } from '@/shared/views'
import { SettingsCard, useSettings } from './settings-card'

interface SettingsField extends Omit<ComponentProps<typeof TextField>, 'name' | 'value' | 'onChange'> {
  name: Exclude<keyof ProjectInput & keyof ProjectView, 'runtimeSettings'>
  /** Options: value and label. */
  choices?: Record<string, string>
}

interface SettingsFormProps {
  project: ProjectView
  title: string
  description?: string
  fields: SettingsField[]
  paired?: boolean
}

/** A group of a project's settings that are saved together. */
export function SettingsForm({ project, title, description, fields, paired }: SettingsFormProps) {
  const settings = useSettings(project, title, (name: SettingsField['name']) => project[name] ?? '')
  const patch = () => Object.fromEntries(fields.map(({ name }) => [name, settings.textOf(name).trim() || null]))
  return (
    <SettingsCard settings={settings} description={description} patch={patch} paired={paired}>
      {fields.map(({ choices, ...field }) => {
        const { name, label, hint } = field
        const text = settings.textOf(name)
        return choices ? (
          <SelectField key={name} label={label} hint={hint} value={text} onChange={(event) => settings.edit(name, event.target.value)}>
            {Object.entries(choices).map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </SelectField>
        ) : (
          <TextField key={name} {...field} value={text} onChange={(event) => settings.edit(name, event.target.value)} autoComplete="off" />
        )
      })}
    </SettingsCard>
  )
}
