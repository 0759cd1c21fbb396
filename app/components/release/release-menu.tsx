'use client'
import { useQuery } from '@tanstack/react-query'
import { ArrowUpFromLine, GitCompareArrows, MoreHorizontal, Pin, PinOff, RefreshCw, RotateCcw, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { ActionMenuItem } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Menu, MenuItem, MenuSeparator } from '@/app/components/ui/menu'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary } from '@/shared/views'
import { ReleaseDialog } from './release-dialog'
import { type ReleaseKind, usePin } from './use-release'

type Open = (kind: ReleaseKind) => void

/** Open environments other than its own, production first. */
export function usePromotionTargets({ projectId, environmentId }: DeploymentSummary) {
  const trpc = useTRPC()
  const { data } = useQuery(trpc.environments.list.queryOptions({ project: projectId }))
  return data?.items.filter(({ id, kind }) => id !== environmentId && kind !== 'preview') ?? []
}

/** True when an earlier version can go live again. */
export const canRollBackTo = ({ live, liveAt, status }: DeploymentSummary): boolean =>
  !live && liveAt !== null && !deploymentTraits[status].running && status !== 'FAILED'

/** Mounted while the menu is open. */
function Items({ deployment, onOpen, onPin }: { deployment: DeploymentSummary; onOpen: Open; onPin: () => void }) {
  const targets = usePromotionTargets(deployment)
  const wasLive = deployment.liveAt !== null
  const release = { action: 'deployment.release' } as const
  return (
    <>
      {canRollBackTo(deployment) ? (
        <ActionMenuItem {...release} onSelect={() => onOpen('rollback')}>
          <Undo2 /> Roll back to this version…
        </ActionMenuItem>
      ) : null}
      {wasLive && targets.length > 0 ? (
        <ActionMenuItem {...release} onSelect={() => onOpen('promote')}>
          <ArrowUpFromLine /> Promote…
        </ActionMenuItem>
      ) : null}
      {deployment.live ? (
        <ActionMenuItem {...release} onSelect={() => onOpen('restart')}>
          <RefreshCw /> Restart…
        </ActionMenuItem>
      ) : null}
      {wasLive && !deployment.live ? (
        <ActionMenuItem {...release} onSelect={() => onOpen('redeploy')}>
          <RotateCcw /> Redeploy without a build…
        </ActionMenuItem>
      ) : null}
      {wasLive ? (
        <ActionMenuItem {...release} onSelect={onPin} title="A pinned artifact is never removed to free disk space">
          {deployment.pinned ? <PinOff /> : <Pin />} {deployment.pinned ? 'Unpin' : 'Pin'}
        </ActionMenuItem>
      ) : null}
      {wasLive ? <MenuSeparator /> : null}
      <MenuItem asChild>
        <PageLink href={paths.compare(deployment.projectSlug, deployment.id)}>
          <GitCompareArrows /> Compare
        </PageLink>
      </MenuItem>
    </>
  )
}

/** What can be done with a version: roll back, promote, restart, redeploy, pin, compare. */
export function ReleaseMenu({ deployment, variant = 'secondary' }: { deployment: DeploymentSummary; variant?: 'secondary' | 'ghost' }) {
  const [kind, setKind] = useState<ReleaseKind | null>(null)
  const pin = usePin(deployment)
  return (
    <>
      <Menu
        trigger={
          <Button variant={variant} size={variant === 'ghost' ? 'iconSm' : 'icon'} aria-label={`Actions for ${deployment.id}`}>
            <MoreHorizontal />
          </Button>
        }
      >
        <Items deployment={deployment} onOpen={setKind} onPin={pin} />
      </Menu>
      {kind ? <OpenDialog kind={kind} deployment={deployment} onClose={() => setKind(null)} /> : null}
    </>
  )
}

function OpenDialog(props: { kind: ReleaseKind; deployment: DeploymentSummary; onClose: () => void }) {
  return <ReleaseDialog {...props} targets={usePromotionTargets(props.deployment)} />
}

/** Opens the dialog of one kind of release. `deployment` null: disabled, and `reason` says why. */
export function ReleaseButton({
  kind,
  deployment,
  reason,
  label,
}: {
  kind: ReleaseKind
  deployment: DeploymentSummary | null
  reason?: string
  label: string
}) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button disabled={deployment === null} title={deployment ? undefined : reason} onClick={() => setOpen(true)}>
        {kind === 'rollback' ? <Undo2 /> : kind === 'promote' ? <ArrowUpFromLine /> : <RefreshCw />} {label}
      </Button>
      {open && deployment ? <OpenDialog kind={kind} deployment={deployment} onClose={() => setOpen(false)} /> : null}
    </>
  )
}
