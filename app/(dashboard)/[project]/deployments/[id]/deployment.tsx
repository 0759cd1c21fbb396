'use client'
import { ScrollText } from 'lucide-react'
import { useState } from 'react'
import { type LogFocus, LogView } from '@/app/components/logs/log-view'
import { useLiveLog } from '@/app/components/logs/use-live-log'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { ErrorPanel, lineOfError } from '@/app/components/ui/error-panel'
import { useTRPCClient } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentView } from '@/shared/views'
import { DeploymentFacts } from './deployment-facts'
import { DeploymentHeader } from './deployment-header'
import { Steps } from './steps'
import { useDeployment } from './use-deployment'
import { Watch } from './watch'

function DeploymentLog({ deployment, focus }: { deployment: DeploymentView; focus: LogFocus | null }) {
  const client = useTRPCClient()
  const { id } = deployment
  const { buffer, state } = useLiveLog(`log:${id}`, (lastEventId, handlers) =>
    client.deployments.logs.subscribe({ deploymentId: id, lastEventId }, handlers),
  )
  return (
    <LogView
      title="Log"
      buffer={buffer}
      state={state}
      fileName={`${deployment.projectSlug}-${id}.log`}
      emptyText={deploymentTraits[deployment.status].running ? 'Waiting for the first log line…' : 'This deployment has no log lines.'}
      complete={!deploymentTraits[deployment.status].running}
      deepLinks
      apart
      focus={focus}
      className="h-[max(26rem,calc(100dvh-17rem))]"
    />
  )
}

/** Page of a deployment: details, steps, log. */
export function Deployment({ id }: { id: string }) {
  const deployment = useDeployment(id)
  const [focus, setFocus] = useState<LogFocus | null>(null)
  return (
    <>
      <DeploymentHeader deployment={deployment} />
      {deployment.error ? (
        <ErrorPanel
          className="mb-4"
          title={deployment.status === 'CANCELED' ? 'This deployment was canceled' : 'This deployment failed'}
          error={deployment.error}
          actions={
            <Button size="sm" onClick={() => setFocus({ text: lineOfError(deployment.error?.message ?? ''), at: Date.now() })}>
              <ScrollText /> Show in the log
            </Button>
          }
        />
      ) : null}
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-[19rem_minmax(0,1fr)]">
        {/* On wide screens the cards form a column next to the log; on narrow screens the log precedes the details. */}
        <div className="min-w-0 max-lg:contents lg:flex lg:flex-col lg:gap-4">
          <Card>
            <Steps deployment={deployment} onStep={(step) => setFocus({ step, at: Date.now() })} />
          </Card>
          {deployment.watch ? (
            <Card>
              <Watch deployment={deployment} watch={deployment.watch} />
            </Card>
          ) : null}
          <Card className="max-lg:order-last">
            <DeploymentFacts deployment={deployment} />
          </Card>
        </div>
        <DeploymentLog deployment={deployment} focus={focus} />
      </div>
    </>
  )
}
