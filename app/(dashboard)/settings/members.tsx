'use client'
import { useQuery } from '@tanstack/react-query'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'

/** Members of the team and their roles. */
export function Members() {
  const trpc = useTRPC()
  const members = useQuery(trpc.team.members.queryOptions())
  return (
    <Card>
      <CardHeader
        title="Members"
        description="Everyone in this team. Members can view, deploy and purge caches; admins and owners can change everything."
      />
      <div className="border-t">
        {members.error ? <ErrorPanel className="m-4" error={wireErrorOf(members.error)} /> : null}
        {members.isPending ? <SkeletonRows count={1} className="h-14" /> : null}
        <ul className="divide-y">
          {members.data?.map((member) => (
            <li key={member.userId} className="flex min-h-14 items-center gap-3 px-4 py-2 sm:px-5">
              <span
                aria-hidden
                className="grid size-8 shrink-0 place-items-center rounded-full bg-accent-soft font-semibold text-accent-text text-sm uppercase"
              >
                {(member.name || member.email || '?').slice(0, 1)}
              </span>
              <div className="min-w-0 flex-1">
                <p className="truncate font-medium">{member.name || member.email}</p>
                {member.name ? <p className="truncate text-faint text-sm">{member.email}</p> : null}
              </div>
              <span className="hidden text-faint text-sm sm:block">
                Joined <RelativeTime value={member.createdAt} />
              </span>
              <span className="rounded-full border px-2 py-px text-muted text-sm capitalize">{member.role}</span>
            </li>
          ))}
        </ul>
      </div>
    </Card>
  )
}
