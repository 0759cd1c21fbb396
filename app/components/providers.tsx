'use client'
import { ThemeProvider, useTheme } from 'next-themes'
import type { ReactNode } from 'react'
import { Toaster } from 'sonner'
import { DataProvider } from '@/app/lib/trpc'

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
export function Providers({ children }: { children: ReactNode }) {
  return (
    <ThemeProvider attribute="class" defaultTheme="system" enableSystem disableTransitionOnChange>
      <DataProvider>
        {children}
        <Toasts />
      </DataProvider>
    </ThemeProvider>
  )
}
