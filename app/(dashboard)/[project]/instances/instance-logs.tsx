'use client'
import { LogView } from '@/app/components/logs/log-view'
import { useLiveLog } from '@/app/components/logs/use-live-log'
import { Dialog } from '@/app/components/ui/dialog'
import { useTRPCClient } from '@/app/lib/trpc'
import type { InstanceView } from '@/shared/views'

const linesToBeginWith = 500

function Log({ instance }: { instance: InstanceView }) {
  const client = useTRPCClient()
  const { id } = instance
  const { buffer, state } = useLiveLog(`instance:${id}`, (lastEventId, handlers) =>
    client.instances.logs.subscribe({ instanceId: id, tail: linesToBeginWith, lastEventId }, handlers),
  )
  return (
    <LogView
      title="Output"
      buffer={buffer}
      state={state}
      fileName={`instance-${id}.log`}
      emptyText={instance.state === 'stopped' ? 'The app wrote no output.' : 'The app has written no output yet.'}
      complete={instance.state === 'stopped'}
      className="flex-1"
    />
  )
}

/** Live log of an instance, in a drawer. */
export function InstanceLogs({ instance, onClose }: { instance: InstanceView | null; onClose: () => void }) {
  return (
    <Dialog
      open={instance !== null}
      onOpenChange={(open) => !open && onClose()}
      title="Instance log"
      description={instance ? <span className="font-mono text-xs">{[instance.id, instance.address].filter(Boolean).join(' · ')}</span> : undefined}
      shape="sheet"
    >
      {instance ? <Log instance={instance} /> : null}
    </Dialog>
  )
}
