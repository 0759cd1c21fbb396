'use client'
import { useQuery } from '@tanstack/react-query'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { useTRPC } from '@/app/lib/trpc'

/** Warns about missing isolation between apps on this machine; renders nothing if apps are isolated. */
export function RuntimeWeakness() {
  const trpc = useTRPC()
  const { data } = useQuery(trpc.system.status.queryOptions())
  if (!data?.weakness) return null
  return (
    <ErrorPanel
      tone="warn"
      title="Apps on this machine are not isolated from each other"
      error={{
        message: `${data.weakness[0]?.toUpperCase()}${data.weakness.slice(1)}.`,
        nextAction: 'Deploy only code that you trust, or ask the operator to run Switchyard as root or with Docker.',
      }}
    />
  )
}
