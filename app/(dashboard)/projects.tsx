'use client'
import { useQuery } from '@tanstack/react-query'
import { FolderGit2, Plus } from 'lucide-react'
import { useState } from 'react'
import { CliHelp } from '@/app/components/cli-help'
import { PageTitle } from '@/app/components/page-title'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { SearchField } from '@/app/components/ui/search-field'
import { Skeleton } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import type { ProjectView } from '@/shared/views'
import { Activity } from './activity'
import { ProjectCard } from './project-card'

function NewProjectButton() {
  const label = (
    <>
      <Plus /> New project
    </>
  )
  if (useRefusal('project.create') !== null)
    return (
      <ActionButton action="project.create" variant="primary">
        {label}
      </ActionButton>
    )
  return (
    <Button asChild variant="primary">
      <PageLink href={paths.newProject}>{label}</PageLink>
    </Button>
  )
}

function FirstProject() {
  const refusal = useRefusal('project.create')
  if (refusal !== null)
    return (
      <Card>
        <EmptyState icon={FolderGit2} title="No project yet">
          Projects of the team appear here. {refusal}
        </EmptyState>
      </Card>
    )
  return (
    <Card>
      <EmptyState icon={FolderGit2} title="Ship your first project" actions={<NewProjectButton />}>
        Point Switchyard at a Git repository. It finds out how to build it, and gives the running app an address of its own.
      </EmptyState>
      <div className="mx-auto max-w-xl px-4 pb-10 sm:px-6">
        <p className="mb-2 text-center text-muted">Or deploy the folder you are in, from a terminal:</p>
        <CliHelp />
      </div>
    </Card>
  )
}

function ProjectGrid({ projects }: { projects: ProjectView[] }) {
  const [query, setQuery] = useState('')
  const wanted = query.trim().toLowerCase()
  const shown = projects.filter((project) => `${project.name} ${project.slug} ${project.repository ?? ''}`.toLowerCase().includes(wanted))
  return (
    <div className="min-w-0">
      <SearchField label="Search projects" value={query} onValue={setQuery} className="mb-4" />
      {shown.length === 0 ? <p className="py-10 text-center text-muted">No project matches “{query}”.</p> : null}
      <ul className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        {shown.map((project) => (
          <ProjectCard key={project.id} project={project} />
        ))}
      </ul>
    </div>
  )
}

/** Projects of the team and recent deployments. */
export function Projects() {
  const trpc = useTRPC()
  const projects = useQuery(trpc.projects.list.queryOptions())
  const deployments = useQuery(trpc.deployments.list.queryOptions({ limit: 8 }))
  const items = deployments.data?.items ?? []
  return (
    <>
      <PageTitle title="Projects" actions={projects.data?.length ? <NewProjectButton /> : null} />
      {projects.error ? (
        <ErrorPanel error={wireErrorOf(projects.error)} actions={<Button onClick={() => projects.refetch()}>Try again</Button>} />
      ) : null}
      {projects.isPending ? (
        <div className="grid gap-4 sm:grid-cols-2">
          <Skeleton className="h-36 rounded-xl" />
          <Skeleton className="h-36 rounded-xl" />
        </div>
      ) : null}
      {projects.data?.length === 0 ? <FirstProject /> : null}
      {projects.data?.length ? (
        <div className="grid grid-cols-1 items-start gap-x-8 gap-y-8 lg:grid-cols-[minmax(0,1fr)_19rem]">
          <ProjectGrid projects={projects.data} />
          <Activity deployments={items} />
        </div>
      ) : null}
    </>
  )
}
