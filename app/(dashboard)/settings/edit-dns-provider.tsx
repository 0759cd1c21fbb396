'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel, type ShownError } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { DnsProviderView } from '@/shared/certificates'
import { type DnsProviderKind, dnsCredentials, dnsProviderFields, dnsProviderLabels } from '@/shared/dns-providers'

const kinds = Object.keys(dnsProviderLabels) as DnsProviderKind[]

/** Validates credentials of the form with the schema of the server. */
function readForm(form: FormData, kind: DnsProviderKind) {
  const entries = dnsProviderFields[kind].map(({ key }) => [key, String(form.get(key) ?? '').trim() || undefined])
  return dnsCredentials.safeParse({ ...Object.fromEntries(entries), kind })
}

/** Adds a DNS provider or replaces its credentials. */
export function EditDnsProvider({ provider, onClose }: { provider: DnsProviderView | null; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const [kind, setKind] = useState<DnsProviderKind>(provider?.kind ?? 'cloudflare')
  const [invalid, setInvalid] = useState<ShownError | null>(null)
  const done = {
    onSuccess: async ({ name }: DnsProviderView) => {
      toast.success(`${name} was saved`)
      onClose()
      await queryClient.invalidateQueries({ queryKey: trpc.dnsProviders.list.queryKey() })
    },
  }
  const create = useMutation(trpc.dnsProviders.create.mutationOptions(done))
  const update = useMutation(trpc.dnsProviders.update.mutationOptions(done))
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const read = readForm(form, kind)
    if (!read.success) {
      const [issue] = read.error.issues
      const field = dnsProviderFields[kind].find(({ key }) => key === issue?.path[0])
      return setInvalid({ message: `${field?.label ?? 'The credentials'}: ${issue?.message}` })
    }
    setInvalid(null)
    if (provider) update.mutate({ dnsProviderId: provider.id, credentials: read.data })
    else create.mutate({ name: String(form.get('name')), credentials: read.data })
  }
  const failure = create.error ?? update.error
  const error = invalid ?? (failure ? wireErrorOf(failure) : null)
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={provider ? `Credentials of ${provider.name}` : 'Add a DNS provider'}
      description="Switchyard sets a temporary TXT record to prove that you own a name."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {provider ? null : (
          <>
            <TextField name="name" label="Name" placeholder="Company DNS" required autoFocus />
            <SelectField label="Kind" value={kind} onChange={(event) => setKind(event.target.value as DnsProviderKind)}>
              {kinds.map((one) => (
                <option key={one} value={one}>
                  {dnsProviderLabels[one]}
                </option>
              ))}
            </SelectField>
          </>
        )}
        {dnsProviderFields[kind].map(({ key, label, hint, secret, optional }) => (
          <TextField
            key={`${kind}.${key}`}
            name={key}
            label={optional ? `${label} (optional)` : label}
            hint={hint}
            type={secret ? 'password' : 'text'}
            autoComplete="off"
            required={!optional}
            mono
          />
        ))}
        {error ? <ErrorPanel error={error} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={create.isPending || update.isPending}>
            Save provider
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
