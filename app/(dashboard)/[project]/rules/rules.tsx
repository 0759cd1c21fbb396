'use client'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import type { RulesView } from '@/shared/rules-settings'
import type { ProjectView } from '@/shared/views'
import { RoutingProblems } from '../routing-problems'
import { useProject } from '../use-project'
import { Behaviour } from './behaviour'
import { Addresses, Maintenance } from './maintenance'
import { PathRules } from './path-rules'
import { Protection } from './protection'
import { useRules } from './use-rules'

/** The Rules page of a project. */
export function Rules() {
  const project = useProject()
  const rules = useRules()
  return (
    <>
      <PageTitle
        title="Rules"
        description="What routers do with a request before your app sees it. Changes take effect at once; rules in switchyard.json, vercel.json, _redirects and _headers of your source take effect with each deployment."
      />
      {/* Same width as the cards below. */}
      <div className="max-w-4xl">
        <RoutingProblems project={project} />
        {rules.error ? <ErrorPanel className="mb-4" error={wireErrorOf(rules.error)} /> : null}
        {rules.isPending ? <SkeletonRows count={4} className="h-24" /> : null}
        {rules.data ? <Cards rules={rules.data} url={project.url} /> : null}
      </div>
    </>
  )
}

function Cards({ rules, url }: { rules: RulesView; url: ProjectView['url'] }) {
  return (
    <div className="flex flex-col gap-6">
      <RefusalNote action="project.update" />
      <Permitted action="project.update">
        <PathRules {...rules} />
        <Behaviour {...rules} />
        <Protection {...rules} url={url} />
        <Addresses {...rules} />
        <Maintenance {...rules} />
      </Permitted>
    </div>
  )
}
