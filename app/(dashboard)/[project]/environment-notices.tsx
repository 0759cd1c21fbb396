'use client'
import { Eye, Lock, PauseCircle } from 'lucide-react'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Notice } from '@/app/components/ui/notice'
import { PageLink } from '@/app/components/ui/page-link'
import { RelativeTime, Remaining } from '@/app/components/ui/time'
import { paths } from '@/app/lib/paths'
import { useNow } from '@/app/lib/use-now'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironmentUpdate } from './use-environment-writes'
import { environmentLabel, useEnvironments } from './use-environments'

function Paused({ environment, reason, at }: { environment: EnvironmentView; reason: string; at: string }) {
  const resume = useEnvironmentUpdate('Automatic deploys resumed')
  return (
    <Notice
      icon={PauseCircle}
      title={`Automatic deploys of ${environmentLabel(environment)} are paused`}
      actions={
        <ActionButton
          action="environment.write"
          size="sm"
          variant="primary"
          pending={resume.isPending}
          onClick={() => resume.mutate({ environment: environment.id, autoDeploy: true })}
        >
          Resume
        </ActionButton>
      }
    >
      Paused <RelativeTime value={at} />. {reason} Pushes are recorded and not deployed.
    </Notice>
  )
}

function Locked({ environment, reason, by, at }: { environment: EnvironmentView; reason: string; by: string; at: string }) {
  const unlock = useEnvironmentUpdate(`${environmentLabel(environment)} unlocked`)
  return (
    <Notice
      icon={Lock}
      title={`${environmentLabel(environment)} is locked: ${reason}`}
      actions={
        <ActionButton
          action="environment.write"
          size="sm"
          pending={unlock.isPending}
          onClick={() => unlock.mutate({ environment: environment.id, lock: null })}
        >
          Unlock
        </ActionButton>
      }
    >
      No deployment is accepted. Locked by {by} <RelativeTime value={at} />
    </Notice>
  )
}

/** Shown while the version that went live last is compared with the version before. */
function Watched({ environment, until }: { environment: EnvironmentView; until: string }) {
  const { liveDeployment: live } = environment
  const now = useNow(1000)
  if (!live || Date.parse(until) <= now) return null
  return (
    <Notice
      icon={Eye}
      tone="info"
      title={
        <>
          The new version of {environmentLabel(environment)} is watched for another <Remaining until={until} />
        </>
      }
      actions={
        <Button asChild size="sm">
          <PageLink href={paths.deployment(live.projectSlug, live.id)}>View deployment</PageLink>
        </Button>
      }
    >
      If it fails more often, or is slower, than the version before, Switchyard rolls it back.
    </Notice>
  )
}

/** States of the project's environments that change what a push or a deployment does, on every page of the project. */
export function EnvironmentNotices() {
  const environments = useEnvironments().data?.items ?? []
  const shown = environments.filter(({ paused, lock, liveDeployment }) => paused || lock || liveDeployment?.watchUntil)
  if (shown.length === 0) return null
  return (
    <div className="mb-5 flex flex-col gap-2 empty:hidden">
      {shown.map((environment) => {
        const { id, paused, lock, liveDeployment } = environment
        return [
          lock ? <Locked key={`lock ${id}`} environment={environment} {...lock} /> : null,
          paused ? <Paused key={`pause ${id}`} environment={environment} {...paused} /> : null,
          liveDeployment?.watchUntil ? <Watched key={`watch ${id}`} environment={environment} until={liveDeployment.watchUntil} /> : null,
        ]
      })}
    </div>
  )
}
