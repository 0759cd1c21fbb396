'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { ExternalLink, RotateCcw, Square } from 'lucide-react'
import { useState } from 'react'
import { BuildOptions } from '@/app/components/build-options'
import { DeploymentSource, kindLabels } from '@/app/components/deployment-source'
import { HealthStatus } from '@/app/components/live-status'
import { canRollBackTo, ReleaseButton, ReleaseMenu } from '@/app/components/release/release-menu'
import { Button } from '@/app/components/ui/button'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { DeploymentStatusBadge, Status } from '@/app/components/ui/status'
import { useDeploy } from '@/app/components/use-deploy'
import { wireErrorOf } from '@/app/lib/errors'
import { deploymentTitle } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentView } from '@/shared/views'

function CancelButton({ deployment }: { deployment: DeploymentView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [open, setOpen] = useState(false)
  const cancel = useMutation(
    trpc.deployments.cancel.mutationOptions({
      onSuccess: (view) => {
        queryClient.setQueryData(trpc.deployments.get.queryKey({ deploymentId: deployment.id }), view)
        setOpen(false)
      },
    }),
  )
  return (
    <>
      <Button variant="dangerOutline" onClick={() => setOpen(true)} disabled={deployment.cancelRequested}>
        <Square /> {deployment.cancelRequested ? 'Canceling…' : 'Cancel'}
      </Button>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title="Cancel this deployment?"
        description="The build stops at once. The live deployment stays live."
        confirmLabel="Cancel deployment"
        cancelLabel="Keep running"
        pending={cancel.isPending}
        error={cancel.error ? wireErrorOf(cancel.error) : null}
        onConfirm={() => cancel.mutate({ deploymentId: deployment.id })}
      />
    </>
  )
}

/** Status, title and the actions that the current status allows. */
export function DeploymentHeader({ deployment }: { deployment: DeploymentView }) {
  const { redeploy, pending } = useDeploy()
  const traits = deploymentTraits[deployment.status]
  const how = (noCache: boolean) => ({ noCache, environment: deployment.environment })
  return (
    <div className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        <div className="mb-1.5 flex items-center gap-2" aria-live="polite">
          <DeploymentStatusBadge deployment={deployment} pill />
          <HealthStatus health={deployment.health} pill />
          {deployment.kind === 'build' ? null : <Status tone="neutral" label={kindLabels[deployment.kind]} pill />}
          {deployment.pinned ? <Status tone="neutral" label="Pinned" pill /> : null}
          {deployment.noCache ? <Status tone="neutral" label="Without cache" pill /> : null}
          {deployment.status === 'ACTIVE' && !deployment.live ? <Status tone="neutral" label="Not the current one" pill /> : null}
        </div>
        {deployment.reason ? <p className="mb-1.5 text-muted text-sm">{deployment.reason}</p> : null}
        {deployment.health.message ? <p className="mb-1.5 text-muted text-sm">{deployment.health.message}</p> : null}
        <h1 className="break-words font-semibold text-xl tracking-tight">{deploymentTitle(deployment)}</h1>
        <div className="mt-1 flex flex-wrap gap-x-3">
          <DeploymentSource deployment={deployment} />
          {deployment.commitAuthor ? <span className="text-muted text-sm">{deployment.commitAuthor}</span> : null}
        </div>
      </div>
      <div className="flex flex-wrap items-center gap-2">
        {traits.cancelable ? <CancelButton deployment={deployment} /> : null}
        {traits.running ? null : (
          <>
            <Button pending={pending} onClick={() => redeploy(deployment, how(false))}>
              <RotateCcw /> Redeploy
            </Button>
            <BuildOptions disabled={pending} onWithoutCache={() => redeploy(deployment, how(true))} />
            {canRollBackTo(deployment) ? <ReleaseButton kind="rollback" label="Roll back" deployment={deployment} /> : null}
            <ReleaseMenu deployment={deployment} />
          </>
        )}
        {deployment.live ? (
          <Button asChild variant="primary">
            <a href={deployment.projectUrl} target="_blank" rel="noreferrer">
              Open app <ExternalLink />
            </a>
          </Button>
        ) : null}
      </div>
    </div>
  )
}
