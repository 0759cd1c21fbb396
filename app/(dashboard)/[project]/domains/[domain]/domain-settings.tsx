'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'
import { CertificateFields } from './certificate-fields'
import { RedirectField } from './redirect-field'

function HttpsRedirect({ checked, onChecked }: { checked: boolean; onChecked: (checked: boolean) => void }) {
  return (
    <label className="flex items-start gap-2 sm:self-center">
      <input type="checkbox" checked={checked} onChange={(event) => onChecked(event.target.checked)} className="mt-1 accent-accent" />
      <span>
        Redirect HTTP to HTTPS
        <span className="block text-muted text-sm">Takes effect once the domain has a certificate.</span>
      </span>
    </label>
  )
}

const day = 86_400
const memories: [number, string][] = [
  [0, 'Not at all: forget it'],
  [day, 'A day'],
  [30 * day, '30 days'],
  [365 * day, 'A year'],
  [730 * day, 'Two years'],
]

/** HSTS duration. Browsers apply a received value until it expires, even if HTTPS is turned off. */
function Memory({ seconds, disabled, onSeconds }: { seconds: number; disabled: boolean; onSeconds: (seconds: number) => void }) {
  const known = memories.some(([value]) => value === seconds)
  return (
    <SelectField
      label="Browsers remember HTTPS for"
      value={seconds}
      onChange={(event) => onSeconds(Number(event.target.value))}
      disabled={disabled}
      hint={
        disabled ? 'Requires the redirect to HTTPS.' : 'HSTS. Browsers that received this header do not open the domain over HTTP during this time.'
      }
    >
      {known ? null : <option value={seconds}>{`${seconds.toLocaleString('en')} seconds`}</option>}
      {memories.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </SelectField>
  )
}

type Edits = Partial<Pick<DomainView, 'redirectTo' | 'branch' | 'httpsRedirect' | 'hstsSeconds' | 'certificateMode' | 'dnsProviderId'>>

/** Settings of a domain, in effect at once. Only edited fields are sent, so that concurrent changes of other fields are kept. */
export function DomainSettings({ domain }: { domain: DomainView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [edits, setEdits] = useState<Edits>({})
  const now = { ...domain, ...edits }
  const set = (part: Edits) => setEdits({ ...edits, ...part })
  const dirty = (Object.keys(edits) as (keyof Edits)[]).some((key) => edits[key] !== domain[key])
  const save = useMutation(
    trpc.domains.update.mutationOptions({
      onSuccess: async () => {
        toast.success(`${domain.displayName} saved`)
        await queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() })
        setEdits({})
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate({ domain: domain.id, ...edits, ...(edits.branch === undefined ? {} : { branch: edits.branch?.trim() || null }) })
  }
  return (
    <Card className="mt-6">
      <CardHeader title="What it serves" description="Changes take effect at once, without a deployment." />
      <form onSubmit={submit}>
        <div className="grid gap-4 px-4 pb-4 sm:grid-cols-2 sm:px-5">
          <RedirectField domain={domain} value={now.redirectTo} onValue={(redirectTo) => set({ redirectTo })} />
          <TextField
            label="Branch"
            value={now.branch ?? ''}
            onChange={(event) => set({ branch: event.target.value })}
            placeholder="None"
            hint={`Empty: the live deployment of ${domain.environment}.`}
            disabled={now.redirectTo !== null}
            mono
          />
          <CertificateFields domain={domain} choice={now} onChoice={set} />
          <HttpsRedirect checked={now.httpsRedirect} onChecked={(httpsRedirect) => set({ httpsRedirect })} />
          <Memory seconds={now.hstsSeconds} disabled={!now.httpsRedirect} onSeconds={(hstsSeconds) => set({ hstsSeconds })} />
          {save.error ? <ErrorPanel className="sm:col-span-2" error={wireErrorOf(save.error)} /> : null}
        </div>
        <CardFooter className="justify-end">
          <Button variant="ghost" onClick={() => setEdits({})} disabled={!dirty || save.isPending}>
            Discard
          </Button>
          <Button type="submit" variant="primary" pending={save.isPending} disabled={!dirty}>
            Save
          </Button>
        </CardFooter>
      </form>
    </Card>
  )
}
