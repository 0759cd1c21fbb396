'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { RotateCw } from 'lucide-react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { type CertificateView, certificateTraits } from '@/shared/certificates'

/** Button that orders or renews an automatic certificate now; renders nothing if that is not possible. */
export function RetryCertificate({
  certificate,
  size,
}: {
  certificate: Pick<CertificateView, 'id' | 'state' | 'notAfter' | 'problem'> & { source?: CertificateView['source'] }
  size?: 'sm'
}) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const retry = useMutation(
    trpc.certificates.retry.mutationOptions({
      onSuccess: async ({ hostname }) => {
        toast.success(`Requesting a certificate for ${hostname}`)
        await queryClient.invalidateQueries({ queryKey: trpc.certificates.pathKey() })
      },
      onError: (error) => toast.error(wireErrorOf(error).message),
    }),
  )
  if (certificate.source === 'uploaded' || !certificateTraits[certificate.state].retryable) return null
  const healthy = certificate.state === 'active' && !certificate.problem
  return (
    <Button size={size} pending={retry.isPending} onClick={() => retry.mutate({ certificateId: certificate.id })}>
      <RotateCw /> {healthy ? 'Renew now' : 'Try again'}
    </Button>
  )
}
