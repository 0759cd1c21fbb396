'use client'
import { type ComponentProps, type ReactNode, useId } from 'react'
import { cn } from '@/app/lib/cn'

export const inputLook =
  'w-full rounded-md border border-field bg-surface px-2.5 text-base text-fg shadow-card placeholder:text-faint hover:border-field-hover focus-visible:border-accent focus-visible:outline-offset-0 disabled:opacity-60 aria-invalid:border-bad'

interface FieldProps {
  label: string
  hint?: ReactNode
  error?: string | null
  labelHidden?: boolean
  className?: string
}

function Field({ id, label, hint, error, labelHidden, className, children }: FieldProps & { id: string; children: ReactNode }) {
  return (
    <div className={cn('flex min-w-0 flex-col gap-1.5', className)}>
      <label htmlFor={id} className={cn('font-medium text-sm', labelHidden && 'sr-only')}>
        {label}
      </label>
      {children}
      {error ? (
        <p id={`${id}-note`} role="alert" className="text-bad text-sm">
          {error}
        </p>
      ) : hint ? (
        <p id={`${id}-note`} className="text-faint text-sm">
          {hint}
        </p>
      ) : null}
    </div>
  )
}

const noteOf = (id: string, { hint, error }: FieldProps) => ({
  'aria-describedby': hint || error ? `${id}-note` : undefined,
  'aria-invalid': error ? true : undefined,
})

/** A labelled one-line input with its hint or error. */
export function TextField({ label, hint, error, labelHidden, className, mono, ...props }: FieldProps & ComponentProps<'input'> & { mono?: boolean }) {
  const id = useId()
  return (
    <Field {...{ id, label, hint, error, labelHidden, className }}>
      <input
        id={id}
        {...noteOf(id, { label, hint, error })}
        className={cn(inputLook, 'h-9', mono && 'font-mono text-sm')}
        spellCheck={mono ? false : undefined}
        {...props}
      />
    </Field>
  )
}

/** A labelled text area with its hint or error. */
export function AreaField({
  label,
  hint,
  error,
  labelHidden,
  className,
  mono,
  ...props
}: FieldProps & ComponentProps<'textarea'> & { mono?: boolean }) {
  const id = useId()
  return (
    <Field {...{ id, label, hint, error, labelHidden, className }}>
      <textarea
        id={id}
        {...noteOf(id, { label, hint, error })}
        className={cn(inputLook, 'py-2', mono && 'font-mono text-sm')}
        spellCheck={mono ? false : undefined}
        {...props}
      />
    </Field>
  )
}

/** A labelled native select: its list is the system's own, so it works with every keyboard and screen reader. */
export function SelectField({ label, hint, error, labelHidden, className, children, ...props }: FieldProps & ComponentProps<'select'>) {
  const id = useId()
  return (
    <Field {...{ id, label, hint, error, labelHidden, className }}>
      <span className="relative">
        <select id={id} {...noteOf(id, { label, hint, error })} className={cn(inputLook, 'h-9 appearance-none pr-8')} {...props}>
          {children}
        </select>
        <svg
          aria-hidden="true"
          viewBox="0 0 16 16"
          className="pointer-events-none absolute top-2.5 right-2.5 size-4 text-faint"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.5"
        >
          <path d="m4 6.5 4 4 4-4" />
        </svg>
      </span>
    </Field>
  )
}
