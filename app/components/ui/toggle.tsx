import type { ReactNode } from 'react'

interface ToggleProps {
  label: string
  hint?: ReactNode
  checked: boolean
  disabled?: boolean
  onChange(checked: boolean): void
}

/** A check box with a label and a hint. */
export function Toggle({ label, hint, checked, disabled, onChange }: ToggleProps) {
  return (
    <label className="flex items-start gap-2.5 has-disabled:opacity-60">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
        className="mt-1 accent-accent"
      />
      <span className="min-w-0">
        <span className="block font-medium text-sm">{label}</span>
        {hint ? <span className="block text-faint text-sm">{hint}</span> : null}
      </span>
    </label>
  )
}
