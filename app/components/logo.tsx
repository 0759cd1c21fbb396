import { cn } from '@/app/lib/cn'

/** Logo: a track that branches off the main track at a switch. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" role="img" aria-label="Switchyard" className={cn('size-6', className)}>
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round">
        <path d="M7 22h18" strokeOpacity=".5" />
        <path d="M7 22h6.5c5 0 4-12 9-12H25" />
      </g>
      <circle cx="25" cy="10" r="2.6" fill="#fff" />
    </svg>
  )
}
