import { FolderX } from 'lucide-react'
import Link from 'next/link'
import { Button } from '@/app/components/ui/button'
import { EmptyState } from '@/app/components/ui/empty-state'
import { paths } from '@/app/lib/paths'

export default function DashboardNotFound() {
  return (
    <EmptyState
      icon={FolderX}
      title="Nothing here"
      className="py-24"
      actions={
        <Button asChild variant="primary">
          <Link href={paths.home}>Go to your projects</Link>
        </Button>
      }
    >
      This project or deployment does not exist, or it belongs to a team you are not a member of.
    </EmptyState>
  )
}
