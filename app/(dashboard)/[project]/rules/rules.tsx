'use client'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { EdgeProblems } from '../edge-problems'
import { useProject } from '../use-project'
import { Behaviour } from './behaviour'
import { Addresses, Maintenance } from './maintenance'
import { PathRules } from './path-rules'
import { Protection } from './protection'
import { UnreadRulesCard } from './unread'
import { useRules } from './use-rules'

/** What the routers do with a request before the app sees it. */
export function Rules() {
  const project = useProject()
  const rules = useRules()
  return (
    <>
      <PageTitle
        title="Rules"
        description="What happens to a request before your app sees it. Changes hold at once; switchyard.json, vercel.json, _redirects and _headers of your source come with each deployment."
      />
      <EdgeProblems project={project} />
      {rules.error ? <ErrorPanel className="mb-4" error={wireErrorOf(rules.error)} /> : null}
      {rules.isPending ? <SkeletonRows count={4} className="h-24" /> : null}
      {rules.data ? (
        <div className="flex max-w-4xl flex-col gap-6">
          {rules.data.unread ? (
            <UnreadRulesCard unread={rules.data.unread} settings={rules.data.settings} />
          ) : (
            <RefusalNote action="project.update" />
          )}
          <Permitted action="project.update">
            <PathRules {...rules.data} />
            <Behaviour {...rules.data} />
            <Protection {...rules.data} url={project.url} />
            <Addresses {...rules.data} />
            <Maintenance {...rules.data} />
          </Permitted>
        </div>
      ) : null}
    </>
  )
}
