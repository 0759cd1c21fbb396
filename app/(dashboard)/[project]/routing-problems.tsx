import { Button } from '@/app/components/ui/button'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import type { RoutingProblem } from '@/shared/routing-problems'
import type { ProjectView } from '@/shared/views'

const looks = {
  closed: { tone: 'bad', title: () => 'Visitors are kept out' },
  'left-out': {
    tone: 'warn',
    title: (count: number) => (count === 1 ? 'A part of this project is left out' : `${count} parts of this project are left out`),
  },
} as const

/** What is remedied in one way at the same addresses is told once. */
const groupsOf = (problems: readonly RoutingProblem[]): RoutingProblem[][] => [
  ...Map.groupBy(problems, ({ effect, nextAction, hosts }) => JSON.stringify([effect, nextAction, hosts])).values(),
]

/** What the routers do not serve as it was asked for, and what to do. `linked`: with the way to the rules, where they are not on this page. */
export function RoutingProblems({ project, linked = false }: { project: ProjectView; linked?: boolean }) {
  return groupsOf(project.edgeProblems).map((group) => {
    const [first] = group
    if (!first) return null
    const { tone, title } = looks[first.effect]
    return (
      <ErrorPanel
        key={`${first.effect} ${first.message}`}
        className="mb-4"
        tone={tone}
        title={title(group.length)}
        error={{ message: group.length === 1 ? first.message : '', nextAction: first.nextAction }}
        facts={first.hosts.length > 0 ? [{ term: first.hosts.length === 1 ? 'Address' : 'Addresses', text: first.hosts.join(', ') }] : []}
        actions={
          linked ? (
            <Button asChild size="sm">
              <PageLink href={paths.rules(project.slug)}>Look at the rules</PageLink>
            </Button>
          ) : null
        }
      >
        {group.length > 1 ? (
          <ul className="wrap-anywhere mt-0.5 list-disc pl-4">
            {group.map(({ message }) => (
              <li key={message}>{message}</li>
            ))}
          </ul>
        ) : null}
      </ErrorPanel>
    )
  })
}
