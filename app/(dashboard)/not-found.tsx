import { FolderX } from 'lucide-react'
import type { Metadata } from 'next'
import { Button } from '@/app/components/ui/button'
import { EmptyState } from '@/app/components/ui/empty-state'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'

export const metadata: Metadata = { title: 'Not found' }

export default function DashboardNotFound() {
  return (
    <EmptyState
      icon={FolderX}
      title="Page not found"
      heading="h1"
      className="py-24"
      actions={
        <Button asChild variant="primary">
          <PageLink href={paths.home}>Go to your projects</PageLink>
        </Button>
      }
    >
      It may have been removed, or it belongs to a team you are not a member of.
    </EmptyState>
  )
}
