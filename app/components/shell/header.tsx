'use client'
import { useQuery } from '@tanstack/react-query'
import { Check, ChevronsUpDown, Plus } from 'lucide-react'
import { useParams } from 'next/navigation'
import { Logo } from '@/app/components/logo'
import { Menu, MenuItem, MenuSeparator } from '@/app/components/ui/menu'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import { type Tab, Tabs } from './tabs'
import { UserMenu } from './user-menu'

const teamTabs: Tab[] = [
  { href: paths.home, label: 'Projects' },
  { href: paths.deployments, label: 'Deployments' },
  { href: paths.certificates, label: 'Certificates', deep: true },
  { href: paths.settings, label: 'Settings' },
]
const projectTabs = (slug: string): Tab[] => [
  { href: paths.project(slug), label: 'Overview' },
  { href: paths.projectDeployments(slug), label: 'Deployments', deep: true },
  { href: paths.environments(slug), label: 'Environments' },
  { href: paths.instances(slug), label: 'Instances' },
  { href: paths.traffic(slug), label: 'Traffic' },
  { href: paths.variables(slug), label: 'Variables' },
  { href: paths.domains(slug), label: 'Domains', deep: true },
  { href: paths.rules(slug), label: 'Rules' },
  { href: paths.projectSettings(slug), label: 'Settings', deep: true },
]

function ProjectSwitch({ slug }: { slug: string }) {
  const trpc = useTRPC()
  const { data: projects } = useQuery(trpc.projects.list.queryOptions())
  const mayCreate = useRefusal('project.create') === null
  const current = projects?.find((project) => project.slug === slug)
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" className="flex min-w-0 items-center gap-1.5 rounded-md px-1.5 py-1 font-medium hover:bg-hover">
          <span className="truncate">{current?.name ?? slug}</span>
          <ChevronsUpDown className="size-3.5 shrink-0 text-faint" aria-hidden />
          <span className="sr-only">Switch project</span>
        </button>
      }
    >
      {projects?.map((project) => (
        <MenuItem key={project.id} asChild>
          <PageLink href={paths.project(project.slug)}>
            <span className="truncate">{project.name}</span>
            {project.slug === slug ? <Check className="ml-auto" /> : null}
          </PageLink>
        </MenuItem>
      ))}
      {mayCreate ? (
        <>
          <MenuSeparator />
          <MenuItem asChild>
            <PageLink href={paths.newProject}>
              <Plus /> New project
            </PageLink>
          </MenuItem>
        </>
      ) : null}
    </Menu>
  )
}

/** Page header: team and project at the left, account menu at the right, tabs below. */
export function Header() {
  const trpc = useTRPC()
  const { data: me } = useQuery(trpc.me.get.queryOptions())
  const { project: named } = useParams<{ project?: string }>()
  const { data: projects } = useQuery(trpc.projects.list.queryOptions())
  // The URL may contain the id of a project, or a project that does not exist.
  const project = projects ? projects.find(({ slug, id }) => slug === named || id === named)?.slug : named
  return (
    <header className="sticky top-0 z-20 border-b bg-surface">
      <div className="mx-auto flex h-13 max-w-6xl items-center gap-2 px-4 sm:px-6">
        <PageLink href={paths.home} className="rounded-lg" aria-label="Switchyard, all projects">
          <Logo />
        </PageLink>
        <span aria-hidden className="ml-1 text-line-strong">
          /
        </span>
        <PageLink
          href={paths.home}
          className={
            project
              ? 'hidden truncate rounded-md px-1.5 py-1 text-muted hover:bg-hover hover:text-fg sm:block'
              : 'truncate rounded-md px-1.5 py-1 font-medium hover:bg-hover'
          }
        >
          {me?.team?.name ?? 'Team'}
        </PageLink>
        {project ? (
          <>
            <span aria-hidden className="hidden text-line-strong sm:block">
              /
            </span>
            <ProjectSwitch slug={project} />
          </>
        ) : null}
        <div className="ml-auto">
          <UserMenu />
        </div>
      </div>
      <div className="mx-auto max-w-6xl px-4 sm:px-6">
        <Tabs tabs={project ? projectTabs(project) : teamTabs} label={project ? 'Project' : 'Team'} />
      </div>
    </header>
  )
}
