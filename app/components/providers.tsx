'use client'
import { ThemeProvider, useTheme } from 'next-themes'
import type { ReactNode } from 'react'
import { Toaster } from 'sonner'
import { z } from 'zod'
import { DataProvider } from '@/app/lib/trpc'

// zod compiles schemas with `new Function`, which the content security policy blocks with a console error.
z.config({ jitless: true })

function Toasts() {
  const { resolvedTheme } = useTheme()
  return (
    <Toaster
      theme={resolvedTheme === 'dark' ? 'dark' : 'light'}
      position="bottom-right"
      toastOptions={{
        classNames: {
          toast: '!bg-surface !border-line !text-fg !shadow-pop !rounded-lg !font-sans',
          description: '!text-muted',
          error: '[&_[data-icon]]:!text-bad',
          success: '[&_[data-icon]]:!text-good',
        },
      }}
    />
  )
}

/** Context providers of every page: theme, queries, toasts. */
export function Providers({ nonce, children }: { nonce: string | undefined; children: ReactNode }) {
  return (
    <ThemeProvider nonce={nonce} attribute="class" defaultTheme="system" enableSystem disableTransitionOnChange>
      <DataProvider>
        {children}
        <Toasts />
      </DataProvider>
    </ThemeProvider>
  )
}
