import { ArrowRight, ChevronRight, LockKeyhole, LockKeyholeOpen } from 'lucide-react'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import type { DomainView } from '@/shared/domains'
import { DomainStatus, isServedOverHttps } from './domain-status'

/** A domain of the list: state, destination, problem. */
export function DomainRow({ domain, projectSlug }: { domain: DomainView; projectSlug: string }) {
  const secure = isServedOverHttps(domain)
  const Lock = secure ? LockKeyhole : LockKeyholeOpen
  return (
    <li className="relative flex min-h-16 items-center gap-4 px-4 py-3 hover:bg-hover/60 sm:px-5">
      <div className="min-w-0 flex-1">
        <div className="flex min-w-0 items-center gap-2">
          <Lock
            className={secure ? 'size-3.5 shrink-0 text-good' : 'size-3.5 shrink-0 text-faint'}
            aria-label={secure ? 'HTTPS' : 'No certificate yet'}
          />
          <PageLink href={paths.domain(projectSlug, domain.hostname)} className="truncate font-medium after:absolute after:inset-0">
            {domain.displayName}
          </PageLink>
        </div>
        <p className="mt-0.5 flex min-w-0 items-center gap-1 truncate text-muted text-sm">
          {domain.redirectTo ? (
            <>
              <ArrowRight className="size-3.5 shrink-0" aria-label="redirects to" /> <span className="truncate">{domain.redirectTo}</span>
            </>
          ) : (
            <span className="truncate">
              {domain.problem?.message ?? (domain.branch ? `Serves branch ${domain.branch}` : `Serves ${domain.environment}`)}
            </span>
          )}
        </p>
      </div>
      <DomainStatus domain={domain} />
      <ChevronRight className="size-4 shrink-0 text-faint" aria-hidden />
    </li>
  )
}
