import { Skeleton } from '@/app/components/ui/skeleton'

/**
 * The shape most pages share: a title, then cards. Only for pages that always exist: what stands below a `loading.tsx` is answered
 * with 200 before it can say that there is nothing.
 */
export function PageLoading() {
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
