import { Card, CardHeader } from '@/app/components/ui/card'
import { Status, type Tone } from '@/app/components/ui/status'
import { Duration, RelativeTime } from '@/app/components/ui/time'
import type { CertificateTryView } from '@/shared/certificates'

const looks: Record<CertificateTryView['outcome'], { tone: Tone; label: string }> = {
  running: { tone: 'progress', label: 'Under way' },
  succeeded: { tone: 'good', label: 'Issued' },
  failed: { tone: 'bad', label: 'Failed' },
  unasked: { tone: 'neutral', label: 'CA not reached' },
}

function TryRow({ one }: { one: CertificateTryView }) {
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 px-4 py-3 sm:px-5">
      <p className="min-w-0 flex-1 truncate">{one.authority}</p>
      <p className="text-faint text-sm">
        <RelativeTime value={one.startedAt} /> · <Duration from={one.startedAt} to={one.endedAt} />
      </p>
      <Status {...looks[one.outcome]} />
      {one.problem ? <p className="wrap-anywhere basis-full text-muted text-sm">{one.problem.message}</p> : null}
    </li>
  )
}

/** Certificate orders with their CA, newest first. */
export function Tries({ tries }: { tries: CertificateTryView[] }) {
  return (
    <Card>
      <CardHeader title="Attempts" description="At most 5 failed attempts per hour for a name." />
      {tries.length === 0 ? <p className="border-t px-4 py-5 text-muted sm:px-5">No certificate has been requested yet.</p> : null}
      <ul className="divide-y border-t empty:hidden">
        {tries.map((one) => (
          <TryRow key={one.id} one={one} />
        ))}
      </ul>
    </Card>
  )
}
