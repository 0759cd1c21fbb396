import Link from 'next/link'
import { Button } from '@/app/components/ui/button'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { paths } from '@/app/lib/paths'
import type { ProjectView } from '@/shared/views'

const titles = { closed: 'Visitors are kept out', 'left-out': 'A part of this project is not served' } as const

/** What the routers do not serve as it was asked for, and what to do. `linked`: with the way to the rules, where they are not on this page. */
export function EdgeProblems({ project, linked = false }: { project: ProjectView; linked?: boolean }) {
  return project.edgeProblems.map(({ effect, message, nextAction, hosts }) => (
    <ErrorPanel
      key={`${effect} ${message}`}
      className="mb-4"
      title={titles[effect]}
      error={{ message: hosts.length > 0 ? `${message} It concerns ${hosts.join(', ')}.` : message, nextAction }}
      actions={
        linked ? (
          <Button asChild size="sm">
            <Link href={paths.rules(project.slug)}>Look at the rules</Link>
          </Button>
        ) : null
      }
    />
  ))
}
