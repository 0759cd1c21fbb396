import type { Metadata } from 'next'
import { PageTitle } from '@/app/components/page-title'
import { HydrateClient, prefetch, trpc } from '@/app/lib/trpc-server'
import { ApiKeys } from './api-keys'
import { DnsProviders } from './dns-providers'
import { Installation } from './installation'
import { Members } from './members'
import { Storage } from './storage'

export const metadata: Metadata = { title: 'Settings' }

export default async function SettingsPage() {
  await prefetch(
    trpc.team.members.queryOptions(),
    trpc.apiKeys.list.queryOptions(),
    trpc.dnsProviders.list.queryOptions(),
    trpc.system.status.queryOptions(),
  )
  return (
    <HydrateClient>
      <PageTitle title="Settings" description="Your team and this installation." />
      <div className="flex max-w-3xl flex-col gap-6">
        <Members />
        <ApiKeys />
        <DnsProviders />
        <Installation />
        <Storage />
      </div>
    </HydrateClient>
  )
}
