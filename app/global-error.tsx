'use client'
import './globals.css'
import { Failure } from '@/app/components/failure'

/** Replaces the root layout when the layout itself fails. */
export default function GlobalError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <html lang="en">
      <body className="min-h-dvh bg-canvas font-sans text-fg antialiased">
        <title>Problem · Switchyard</title>
        <Failure error={error} retry={reset} />
      </body>
    </html>
  )
}
