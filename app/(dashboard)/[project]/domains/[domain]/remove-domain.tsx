'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'

/** Removes the domain after its name was typed. */
export function RemoveDomain({ domain, projectSlug }: { domain: DomainView; projectSlug: string }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const router = useRouter()
  const [open, setOpen] = useState(false)
  const remove = useMutation(
    trpc.domains.remove.mutationOptions({
      onSuccess: async () => {
        router.push(paths.domains(projectSlug))
        toast.success(`${domain.displayName} was removed`)
        // The query of the domain itself is not invalidated: this page still shows it.
        await Promise.all([
          queryClient.invalidateQueries({ queryKey: trpc.domains.list.queryKey() }),
          queryClient.invalidateQueries({ queryKey: trpc.domains.list.infiniteQueryKey() }),
        ])
      },
    }),
  )
  return (
    <Card className="mt-6 border-bad/40">
      <CardHeader
        title="Remove this domain"
        description="The domain is no longer served. Its certificate is kept encrypted until it expires, in case you add the name again. Domains that redirect to it serve the app themselves."
      />
      <CardFooter className="justify-end">
        <ActionButton action="domain.write" variant="danger" onClick={() => setOpen(true)}>
          Remove domain
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title={`Remove ${domain.displayName}?`}
        description="Visitors of this domain will get an error page."
        confirmLabel="Remove domain"
        typeToConfirm={domain.hostname}
        pending={remove.isPending || remove.isSuccess}
        error={remove.error ? wireErrorOf(remove.error) : null}
        onConfirm={() => remove.mutate({ domain: domain.id, confirm: domain.hostname })}
      />
    </Card>
  )
}
