'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { CertificateView } from '@/shared/certificates'

/** Removes an uploaded certificate. */
export function RemoveUploaded({ certificate }: { certificate: CertificateView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const router = useRouter()
  const [asking, setAsking] = useState(false)
  const remove = useMutation(
    trpc.certificates.remove.mutationOptions({
      onSuccess: async () => {
        toast.success('The uploaded certificate was removed')
        router.push(paths.certificates)
        await queryClient.invalidateQueries({ queryKey: trpc.certificates.list.infiniteQueryKey() })
      },
    }),
  )
  return (
    <Card>
      <CardHeader
        title="Remove this certificate"
        description="The domain goes back to automatic certificates."
        actions={
          <ActionButton action="certificate.write" variant="danger" onClick={() => setAsking(true)}>
            Remove certificate
          </ActionButton>
        }
      />
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title={`Remove the certificate of ${certificate.hostname}?`}
        description="The domain may be unreachable over HTTPS until an automatic certificate is issued."
        confirmLabel="Remove certificate"
        pending={remove.isPending}
        error={remove.error ? wireErrorOf(remove.error) : null}
        onConfirm={() => remove.mutate({ certificateId: certificate.id })}
      />
    </Card>
  )
}
