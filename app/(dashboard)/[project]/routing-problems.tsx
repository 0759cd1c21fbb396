import { Button } from '@/app/components/ui/button'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import type { RoutingProblem } from '@/shared/routing-problems'
import type { ProjectView } from '@/shared/views'

const looks = {
  closed: { tone: 'bad', title: () => 'This site is closed to visitors' },
  'left-out': {
    tone: 'warn',
    title: (count: number) => (count === 1 ? 'A part of this project is not served' : `${count} parts of this project are not served`),
  },
} as const

/** Groups problems with the same effect, next action and addresses, so that each group is shown once. */
const groupsOf = (problems: readonly RoutingProblem[]): RoutingProblem[][] => [
  ...Map.groupBy(problems, ({ effect, nextAction, hosts }) => JSON.stringify([effect, nextAction, hosts])).values(),
]

/** Problems of the rules and routes of a project, with the next action. `linked` adds a link to the Rules page. */
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
              <PageLink href={paths.rules(project.slug)}>View rules</PageLink>
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
