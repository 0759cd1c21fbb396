'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Upload } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { AreaField, TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'

function UploadForm({ domain, onDone }: { domain?: string | undefined; onDone: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const upload = useMutation(
    trpc.certificates.upload.mutationOptions({
      onSuccess: async ({ hostname }) => {
        toast.success(`${hostname} is served with your certificate`)
        onDone()
        await Promise.all([
          queryClient.invalidateQueries({ queryKey: trpc.certificates.pathKey() }),
          queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() }),
        ])
      },
    }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '')
    upload.mutate({ domain: domain ?? text('domain'), certificate: text('certificate'), privateKey: text('privateKey') })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {domain === undefined ? <TextField name="domain" label="Domain" placeholder="www.example.com" required mono /> : null}
      <AreaField
        name="certificate"
        label="Certificate and intermediates"
        hint="PEM; the order does not matter."
        placeholder="-----BEGIN CERTIFICATE-----"
        rows={6}
        required
        mono
      />
      <AreaField
        name="privateKey"
        label="Private key"
        hint="PEM without a passphrase. It is stored encrypted and never shown again."
        placeholder="-----BEGIN PRIVATE KEY-----"
        rows={5}
        autoComplete="off"
        required
        mono
      />
      {upload.error ? <ErrorPanel error={wireErrorOf(upload.error)} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" variant="primary" pending={upload.isPending}>
          Use this certificate
        </Button>
      </div>
    </form>
  )
}

/** Button and form to upload a certificate. Without `domain`, the form has a field for the domain. */
export function UploadCertificate({ domain, size }: { domain?: string; size?: 'sm' }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <ActionButton action="certificate.write" size={size} onClick={() => setOpen(true)}>
        <Upload /> Upload certificate
      </ActionButton>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={domain ? `Your certificate for ${domain}` : 'Upload your own certificate'}
        description="It replaces the automatic certificate of the domain. You renew it yourself."
      >
        <UploadForm domain={domain} onDone={() => setOpen(false)} />
      </Dialog>
    </>
  )
}
