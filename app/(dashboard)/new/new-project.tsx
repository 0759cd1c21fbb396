'use client'
import { useMutation } from '@tanstack/react-query'
import { Terminal } from 'lucide-react'
import { useState } from 'react'
import { CliHelp } from '@/app/components/cli-help'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Card, CardHeader } from '@/app/components/ui/card'
import { useTRPC } from '@/app/lib/trpc'
import type { InspectionView } from '@/shared/views'
import { ConfigureForm } from './configure-form'
import { type Source, SourceForm } from './source-form'

/** New project: inspect the repository, show the detected build, start the first deployment. */
export function NewProject() {
  const trpc = useTRPC()
  const [found, setFound] = useState<{ source: Source; inspection: InspectionView } | null>(null)
  const inspect = useMutation(
    trpc.projects.inspect.mutationOptions({ onSuccess: (inspection, source) => setFound({ source: source as Source, inspection }) }),
  )
  return (
    <div className="mx-auto max-w-3xl">
      <PageTitle title="New project" description="From a Git repository to a running app at its own address." />
      <RefusalNote action="project.create" className="mb-6" />
      <Permitted action="project.create">
        <SourceForm
          pending={inspect.isPending}
          error={inspect.error}
          inspected={found !== null}
          onInspect={(source) => {
            setFound(null)
            inspect.mutate(source)
          }}
          onEdit={() => setFound(null)}
        />
      </Permitted>
      {found ? <ConfigureForm key={JSON.stringify(found.source)} source={found.source} inspection={found.inspection} /> : null}
      {found || inspect.isPending ? null : (
        <Card className="mt-6">
          <CardHeader
            title="No repository? Deploy a folder"
            description="From a terminal in that folder. The project is created when it does not exist."
            actions={<Terminal className="hidden size-5 text-faint sm:block" aria-hidden />}
          />
          <div className="px-4 pb-4 sm:px-5">
            <CliHelp project="my-app" />
          </div>
        </Card>
      )}
    </div>
  )
}
