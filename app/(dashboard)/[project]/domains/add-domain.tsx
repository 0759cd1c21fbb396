'use client'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { cn } from '@/app/lib/cn'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { useSettled } from '@/app/lib/use-settled'
import type { DomainPreview } from '@/shared/domains'
import type { ProjectView } from '@/shared/views'
import { Notes, RecordTable } from './record-table'

function Preview({ preview }: { preview: DomainPreview }) {
  return (
    <div className="flex flex-col gap-2">
      {preview.claim ? (
        <>
          <p className="text-sm text-warn">Another team of this installation uses this domain. Set this record first to prove that you own it.</p>
          <RecordTable records={[preview.claim]} label="Record that proves ownership" />
        </>
      ) : null}
      <p className="text-muted text-sm">At your DNS host you will set {preview.records.length === 1 ? 'this record' : 'these records'}:</p>
      <RecordTable records={preview.records} label="Records to set" />
      <Notes notes={preview.notes} />
    </div>
  )
}

/** Asks for a name and shows the DNS records it needs before it is added. */
export function AddDomain({ project, onClose }: { project: ProjectView; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const router = useRouter()
  const [hostname, setHostname] = useState('')
  const [both, setBoth] = useState(true)
  const asked = useSettled(hostname.trim())
  const preview = useQuery({
    ...trpc.domains.preview.queryOptions({ project: project.id, hostname: asked }),
    enabled: asked.includes('.'),
    placeholderData: keepPreviousData,
    retry: false,
  })
  const shown = asked.includes('.') && !preview.error ? preview.data : undefined
  const other = shown?.counterpart ?? null
  // What is shown may still be about the name typed before: it keeps its place and is not to be read.
  const stale = asked !== hostname.trim() || preview.isPlaceholderData
  const add = useMutation(trpc.domains.add.mutationOptions())
  const redirect = useMutation(trpc.domains.add.mutationOptions())

  async function submit(event: FormEvent) {
    event.preventDefault()
    const added = await add.mutateAsync({ project: project.id, hostname }).catch(() => null)
    if (!added) return
    // The first one is there: a refusal of the second is told, and does not take it back.
    // What is shown may still be about the name typed before.
    if (other && both && shown?.hostname === added.hostname)
      await redirect
        .mutateAsync({ project: project.id, hostname: other, redirectTo: added.hostname })
        .catch((error) => toast.error(`${other} was not added`, { description: wireErrorOf(error).message }))
    await queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() })
    onClose()
    router.push(paths.domain(project.slug, added.hostname))
  }
  const problem = add.error ?? (preview.error && wireErrorOf(preview.error).code === 'ERR_INVALID_INPUT' ? preview.error : null)
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title="Add a domain" description="A name you registered, or one below it.">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Domain"
          value={hostname}
          onChange={(event) => {
            setHostname(event.target.value)
            add.reset()
          }}
          placeholder="example.com"
          hint="Like example.com, www.example.com or *.example.com"
          autoFocus
          autoComplete="off"
          autoCapitalize="none"
          mono
        />
        {shown ? (
          <div className={cn('max-h-[45dvh] overflow-y-auto', stale && 'invisible')} aria-busy={stale}>
            <Preview preview={shown} />
          </div>
        ) : null}
        {other ? (
          <label className={cn('flex items-start gap-2', stale && 'invisible')}>
            <input type="checkbox" checked={both} onChange={(event) => setBoth(event.target.checked)} className="mt-1 accent-accent" />
            <span>
              Also add <span className="font-medium">{other}</span> and redirect it here
            </span>
          </label>
        ) : null}
        {problem ? <ErrorPanel error={wireErrorOf(problem)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={add.isPending || redirect.isPending} disabled={hostname.trim() === ''}>
            Add domain
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
