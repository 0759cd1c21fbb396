'use client'
import { PageTitle } from '@/app/components/page-title'
import { Button } from '@/app/components/ui/button'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useProject } from '../../use-project'
import { GitConnection } from './git-connection'
import { OutgoingDeliveries } from './outgoing-deliveries'
import { OutgoingWebhooks } from './outgoing-webhooks'

/** Webhooks of a project and their deliveries. */
export function Webhooks() {
  const project = useProject()
  return (
    <>
      <PageTitle
        title="Webhooks"
        description="Events of this project are sent to other services, signed by the Standard Webhooks scheme."
        actions={
          <Button asChild>
            <PageLink href={paths.projectSettings(project.slug)}>Settings</PageLink>
          </Button>
        }
      />
      <div className="flex flex-col gap-6">
        <GitConnection project={project} />
        <OutgoingWebhooks project={project} />
        <OutgoingDeliveries project={project} />
      </div>
    </>
  )
}
