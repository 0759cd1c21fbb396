'use client'
import { PageTitle } from '@/app/components/page-title'
import { Button } from '@/app/components/ui/button'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useProject } from '../../use-project'
import { GitConnection } from './git-connection'
import { DeployHooks, GitHook } from './git-hook'
import { IncomingDeliveries } from './incoming-deliveries'
import { OutgoingDeliveries } from './outgoing-deliveries'
import { OutgoingWebhooks } from './outgoing-webhooks'

/** Webhooks of a project and their deliveries. */
export function Webhooks() {
  const project = useProject()
  return (
    <>
      <PageTitle
        title="Webhooks"
        description="What the Git host announces to this project, and what this project announces to others."
        actions={
          <Button asChild>
            <PageLink href={paths.projectSettings(project.slug)}>Settings</PageLink>
          </Button>
        }
      />
      <div className="flex flex-col gap-6">
        <GitHook project={project} />
        <IncomingDeliveries project={project} />
        <DeployHooks project={project} />
        <GitConnection project={project} />
        <OutgoingWebhooks project={project} />
        <OutgoingDeliveries project={project} />
      </div>
    </>
  )
}
