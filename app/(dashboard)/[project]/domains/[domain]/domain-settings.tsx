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
        <span className="block text-muted text-sm">Once there is a certificate.</span>
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

/** How long browsers keep to HTTPS without asking: what they were told once holds until it ends, even when HTTPS is gone. */
function Memory({ seconds, disabled, onSeconds }: { seconds: number; disabled: boolean; onSeconds: (seconds: number) => void }) {
  const known = memories.some(([value]) => value === seconds)
  return (
    <SelectField
      label="Browsers remember HTTPS for"
      value={seconds}
      onChange={(event) => onSeconds(Number(event.target.value))}
      disabled={disabled}
      hint={disabled ? 'Only with the redirect to HTTPS.' : 'HSTS. A visitor who was told so cannot open it over HTTP until then.'}
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

/** What visitors of the name get. In effect at once. Only what was edited is sent: what others change meanwhile stays. */
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
      <CardHeader title="What it serves" description="In effect at once, without a deployment." />
      <form onSubmit={submit}>
        <div className="grid gap-4 px-4 pb-4 sm:grid-cols-2 sm:px-5">
          <RedirectField domain={domain} value={now.redirectTo} onValue={(redirectTo) => set({ redirectTo })} />
          <TextField
            label="Branch"
            value={now.branch ?? ''}
            onChange={(event) => set({ branch: event.target.value })}
            placeholder="None"
            hint={`Empty: what is live in ${domain.environment}.`}
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
