'use client'
import { ThemeProvider, useTheme } from 'next-themes'
import type { ReactNode } from 'react'
import { Toaster } from 'sonner'
import { z } from 'zod'
import { DataProvider } from '@/app/lib/trpc'

// Schemas try to compile themselves by `new Function`, which the page's policy refuses with a message in the console.
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

/** Theme, data and messages of every page. */
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
