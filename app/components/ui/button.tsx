'use client'
import { cva, type VariantProps } from 'class-variance-authority'
import { LoaderCircle } from 'lucide-react'
import { Slot } from 'radix-ui'
import type { ComponentProps, MouseEvent } from 'react'
import { cn } from '@/app/lib/cn'
import { useHydrated } from '@/app/lib/hydrated'

const look = cva(
  'relative inline-flex shrink-0 items-center justify-center gap-1.5 whitespace-nowrap rounded-md font-medium transition-colors select-none disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:cursor-not-allowed [&_svg]:size-4 [&_svg]:shrink-0',
  {
    variants: {
      variant: {
        primary: 'bg-accent text-accent-fg shadow-card hover:bg-accent-hover',
        secondary: 'border border-line-strong/70 bg-surface text-fg shadow-card hover:bg-hover',
        ghost: 'text-muted hover:bg-hover hover:text-fg',
        danger: 'bg-bad-solid text-white shadow-card hover:brightness-110',
        dangerOutline: 'border border-bad/40 bg-surface text-bad hover:bg-bad-soft',
      },
      size: { sm: 'h-7 px-2.5 text-sm', md: 'h-8 px-3 text-sm', lg: 'h-9 px-4 text-base', icon: 'size-8', iconSm: 'size-7' },
    },
    defaultVariants: { variant: 'secondary', size: 'md' },
  },
)

type ButtonProps = ComponentProps<'button'> & VariantProps<typeof look> & { asChild?: boolean; pending?: boolean }

const ignore = (event: MouseEvent) => event.preventDefault()

/** Button that keeps its size and focus while `pending`: the hidden label stays below the spinner. */
export function Button({ className, variant, size, asChild, pending = false, children, disabled, type = 'button', ...props }: ButtonProps) {
  const hydrated = useHydrated()
  // Before the page's code has loaded, the browser would submit the form itself: by GET, with a password in the address.
  const early = type === 'submit' && !hydrated
  if (asChild) {
    return (
      <Slot.Root className={cn(look({ variant, size }), className)} {...props}>
        {children}
      </Slot.Root>
    )
  }
  return (
    // A disabled button loses the focus: while pending, the button stays enabled and ignores clicks.
    <button
      type={type}
      className={cn(look({ variant, size }), early && !disabled && 'disabled:cursor-progress disabled:opacity-100', className)}
      disabled={disabled || early}
      aria-busy={pending || undefined}
      aria-disabled={pending || undefined}
      {...props}
      {...(pending ? { onClick: ignore } : {})}
    >
      <span className={cn('inline-flex items-center gap-1.5', pending && 'opacity-0')}>{children}</span>
      {pending ? <LoaderCircle className="absolute animate-spin" aria-hidden /> : null}
    </button>
  )
}
