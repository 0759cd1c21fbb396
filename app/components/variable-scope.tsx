import type { ComponentProps } from 'react'
import type { VariableView } from '@/shared/views'
import { SelectField } from './ui/field'

export type VariableScope = VariableView['scope']

export const scopeLabels: Record<VariableScope, string> = { both: 'Build and runtime', build: 'Build only', runtime: 'Runtime only' }

/** Where a variable is visible. */
export function ScopeField({
  value,
  onScope,
  ...props
}: { value: VariableScope; onScope: (scope: VariableScope) => void } & Omit<ComponentProps<typeof SelectField>, 'label' | 'value' | 'onChange'>) {
  return (
    <SelectField label="Visible in" value={value} onChange={(event) => onScope(event.target.value as VariableScope)} {...props}>
      {Object.entries(scopeLabels).map(([scope, label]) => (
        <option key={scope} value={scope}>
          {label}
        </option>
      ))}
    </SelectField>
  )
}
