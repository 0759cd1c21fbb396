import { Skeleton } from '@/app/components/ui/skeleton'

/**
 * Skeleton of a page with a title and cards. Use it only for pages that always exist: below a `loading.tsx`, Next.js sends status 200
 * before the page can respond with 404.
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
