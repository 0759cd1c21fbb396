'use client'
import { RotateCcw } from 'lucide-react'
import { useEffect } from 'react'
import { Button } from '@/app/components/ui/button'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { wireErrorOf } from '@/app/lib/errors'

interface FailureProps {
  error: Error & { digest?: string }
  retry: () => void
}

/** Error boundary view with a retry button. */
export function Failure({ error, retry }: FailureProps) {
  useEffect(() => console.error(error), [error])
  const known = 'data' in error ? wireErrorOf(error) : null
  return (
    <div className="mx-auto w-full max-w-xl px-4 py-16">
      <ErrorPanel
        title={known ? undefined : 'This page could not be loaded'}
        error={
          known ?? {
            message: error.digest ? `The server reported a problem (reference ${error.digest}).` : 'The page failed with an error.',
            stillServing: 'Apps are not affected: routers serve them without the dashboard.',
            nextAction: 'Try again. If it happens again, check the server log.',
          }
        }
        actions={
          <Button size="sm" onClick={retry}>
            <RotateCcw /> Try again
          </Button>
        }
      />
    </div>
  )
}
