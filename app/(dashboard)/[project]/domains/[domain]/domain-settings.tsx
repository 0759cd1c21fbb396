'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'
import type { ProjectView } from '@/shared/views'
import { type CertificateChoice, CertificateFields } from './certificate-fields'

/** Domains of the project that serve by themselves: those a redirect may lead to. */
function useRedirectTargets(project: ProjectView, domain: DomainView): DomainView[] {
  const trpc = useTRPC()
  const { data = [] } = useQuery(trpc.domains.list.queryOptions({ projectId: project.id }))
  return data.filter((other) => other.id !== domain.id && other.kind !== 'wildcard' && other.redirectTo === null)
}

function HttpsRedirect({ checked, onChecked }: { checked: boolean; onChecked: (checked: boolean) => void }) {
  return (
    <label className="flex items-start gap-2 sm:col-span-2">
      <input type="checkbox" checked={checked} onChange={(event) => onChecked(event.target.checked)} className="mt-1 accent-accent" />
      <span>
        Redirect HTTP to HTTPS
        <span className="block text-muted text-sm">Once there is a certificate; browsers are told to remember it (HSTS).</span>
      </span>
    </label>
  )
}

/** What visitors of the name get. In effect at once. */
export function DomainSettings({ domain, project }: { domain: DomainView; project: ProjectView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const targets = useRedirectTargets(project, domain)
  const [redirectTo, setRedirectTo] = useState(domain.redirectTo ?? '')
  const [branch, setBranch] = useState(domain.branch ?? '')
  const [httpsRedirect, setHttpsRedirect] = useState(domain.httpsRedirect)
  const [choice, setChoice] = useState<CertificateChoice>({ certificateMode: domain.certificateMode, dnsProviderId: domain.dnsProviderId })
  const save = useMutation(
    trpc.domains.update.mutationOptions({
      onSuccess: async () => {
        toast.success(`${domain.displayName} saved`)
        await queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() })
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate({ domain: domain.id, patch: { redirectTo: redirectTo || null, branch: branch.trim() || null, httpsRedirect, ...choice } })
  }
  return (
    <Card className="mt-6">
      <CardHeader title="What it serves" description="In effect at once, without a deployment." />
      <form onSubmit={submit}>
        <div className="grid gap-4 px-4 pb-4 sm:grid-cols-2 sm:px-5">
          <SelectField
            label="Redirect to"
            value={redirectTo}
            onChange={(event) => setRedirectTo(event.target.value)}
            hint="Permanent (308); path and query are kept."
          >
            <option value="">No redirect: serve the app</option>
            {targets.map((target) => (
              <option key={target.id} value={target.hostname}>
                {target.displayName}
              </option>
            ))}
          </SelectField>
          <TextField
            label="Branch"
            value={branch}
            onChange={(event) => setBranch(event.target.value)}
            placeholder="None"
            hint={`Empty: what is live in ${domain.environment}.`}
            disabled={redirectTo !== ''}
            mono
          />
          <CertificateFields domain={domain} choice={choice} onChoice={setChoice} />
          <HttpsRedirect checked={httpsRedirect} onChecked={setHttpsRedirect} />
          {save.error ? <ErrorPanel className="sm:col-span-2" error={wireErrorOf(save.error)} /> : null}
        </div>
        <CardFooter className="justify-end">
          <Button type="submit" variant="primary" pending={save.isPending}>
            Save
          </Button>
        </CardFooter>
      </form>
    </Card>
  )
}
