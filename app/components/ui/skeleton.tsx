import { cn } from '@/app/lib/cn'

/** Placeholder of content that is loading. Give it the size of the content. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn('animate-pulse rounded-md bg-hover', className)} />
}

/** Placeholder rows of a list, with the height of real rows. */
export function SkeletonRows({ count, className }: { count: number; className: string }) {
  return (
    <div role="status" aria-label="Loading" className="divide-y">
      {Array.from({ length: count }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are alike and never move
        <div key={index} className={cn('flex items-center gap-4 px-4 sm:px-5', className)}>
          <Skeleton className="h-4 w-20" />
          <Skeleton className="h-4 max-w-72 flex-1" />
          <Skeleton className="ml-auto hidden h-4 w-24 sm:block" />
        </div>
      ))}
    </div>
  )
}
