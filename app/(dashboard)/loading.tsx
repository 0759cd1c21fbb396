import { Skeleton } from '@/app/components/ui/skeleton'

/** The shape most pages share: a title, then cards. */
export default function Loading() {
  return (
    <div role="status" aria-label="Loading">
      <div className="mb-5 flex min-h-9 items-center justify-between">
        <Skeleton className="h-6 w-40" />
        <Skeleton className="h-8 w-28" />
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        <Skeleton className="h-36 rounded-xl" />
        <Skeleton className="h-36 rounded-xl" />
      </div>
    </div>
  )
}
