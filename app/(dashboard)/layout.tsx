import { headers } from 'next/headers'
import { redirect } from 'next/navigation'
import type { ReactNode } from 'react'
import { LiveUpdates } from '@/app/components/live-updates'
import { RunningIndicator } from '@/app/components/running-indicator'
import { Header } from '@/app/components/shell/header'
import { paths } from '@/app/lib/paths'
import { HydrateClient, isSetupNeeded, isSignedIn, prefetch, trpc } from '@/app/lib/trpc-server'

export default async function DashboardLayout({ children }: { children: ReactNode }) {
  if (!(await isSignedIn())) redirect((await isSetupNeeded()) ? paths.setup : paths.loginTo((await headers()).get('x-switchyard-page')))
  await prefetch(trpc.me.get.queryOptions(), trpc.projects.list.queryOptions())
  return (
    <HydrateClient>
      <a href="#main" className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-accent-fg focus:not-sr-only focus:fixed focus:top-2 focus:left-2">
        Skip to content
      </a>
      <Header />
      <main id="main" tabIndex={-1} className="mx-auto max-w-6xl px-4 py-6 outline-none sm:px-6 sm:py-8">
        {children}
      </main>
      <LiveUpdates />
      <RunningIndicator />
    </HydrateClient>
  )
}
