'use client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { Skeleton } from '@/app/components/ui/skeleton'
import { Status } from '@/app/components/ui/status'
import { wireErrorOf } from '@/app/lib/errors'
import { formatBytes } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { StorageView } from '@/shared/views'

const shownRecords = 10

function Line({ children, end }: { children: ReactNode; end: ReactNode }) {
  return (
    <li className="flex items-center gap-4 px-4 py-2.5 sm:px-5">
      <span className="min-w-0 flex-1">{children}</span>
      {end}
    </li>
  )
}

const limitText = ({ sizeBytes, days }: StorageView['limits'][number]): string =>
  [sizeBytes === null ? null : `up to ${formatBytes(sizeBytes)}`, days === null ? null : `unused for ${days} days at most`].filter(Boolean).join(', ')

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="border-t">
      <h3 className="px-4 pt-3 text-faint text-sm sm:px-5">{title}</h3>
      <ul className="divide-y">{children}</ul>
    </section>
  )
}

function Figures({ storage }: { storage: StorageView }) {
  const limits = new Map(storage.limits.map((limit) => [limit.what, limitText(limit)]))
  return (
    <>
      <Section title="Disks">
        {storage.disks.map((disk) => (
          <Line key={disk.directory} end={<Status tone={disk.low ? 'bad' : 'good'} label={disk.low ? 'Nearly full' : 'OK'} />}>
            <span className="capitalize">{disk.what}</span>{' '}
            <span className="text-faint text-sm">
              {formatBytes(disk.freeBytes)} of {formatBytes(disk.totalBytes)} free at {disk.directory}
            </span>
          </Line>
        ))}
      </Section>
      <Section title="Used by">
        {storage.usage.map((use) => (
          <Line key={use.what} end={<span className="tabular-nums">{formatBytes(use.sizeBytes)}</span>}>
            <span className="capitalize">{use.what}</span> <span className="text-faint text-sm">{limits.get(use.what)}</span>
          </Line>
        ))}
      </Section>
      <Section title="Removed to stay within the limits">
        {storage.freed.length === 0 ? <Line end={null}>Nothing yet.</Line> : null}
        {storage.freed.slice(0, shownRecords).map((record) => (
          <Line key={`${record.at} ${record.what} ${record.projectId}`} end={<span className="tabular-nums">{formatBytes(record.sizeBytes)}</span>}>
            <span className="capitalize">{record.what}</span>{' '}
            <span className="text-faint text-sm">
              {record.at.slice(0, 16).replace('T', ' ')} UTC, {record.reason}
            </span>
          </Line>
        ))}
      </Section>
    </>
  )
}

/** Disk use of the installation, for operators. */
export function Storage() {
  const trpc = useTRPC()
  const storage = useQuery(trpc.system.storage.queryOptions())
  if (storage.data === null) return null
  return (
    <Card>
      <CardHeader title="Storage" description="Disks of this machine, the data Switchyard stores on them, and the data it has removed." />
      {storage.error ? <ErrorPanel className="m-4" error={wireErrorOf(storage.error)} /> : null}
      {storage.isPending ? <Skeleton className="m-5 h-24" /> : null}
      {storage.data ? <Figures storage={storage.data} /> : null}
    </Card>
  )
}
