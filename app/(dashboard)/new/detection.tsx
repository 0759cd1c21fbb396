import { CircleCheck, GitCommitHorizontal, TriangleAlert } from 'lucide-react'
import { Card } from '@/app/components/ui/card'
import { frameworkLabel, shortSha } from '@/app/lib/format'
import type { InspectionView } from '@/shared/views'

/** Detected framework and settings, the files they come from, and warnings. */
export function Detection({ inspection }: { inspection: InspectionView }) {
  const { framework, commit, evidence, warnings } = inspection
  const Icon = framework ? CircleCheck : TriangleAlert
  return (
    <Card className="mt-6">
      <div className="flex items-start gap-3 p-4 sm:px-5">
        <Icon className={framework ? 'mt-0.5 size-5 shrink-0 text-good' : 'mt-0.5 size-5 shrink-0 text-warn'} aria-hidden />
        <div className="min-w-0 flex-1">
          <h2 className="font-semibold text-lg">{framework ? `Detected ${frameworkLabel(framework)}` : 'No framework was recognised'}</h2>
          <p className="text-muted">
            {framework ? inspection.summary : 'Enter the commands below, or add a Dockerfile or a start script to the repository.'}
          </p>
          {commit ? (
            <p className="mt-1 flex min-w-0 items-center gap-1.5 text-faint text-sm">
              <GitCommitHorizontal className="size-3.5 shrink-0" aria-hidden />
              <span className="font-mono text-xs">{shortSha(commit.sha)}</span>
              <span className="truncate">
                {commit.message.split('\n')[0]} · {commit.author}
                {commit.branch ? ` · ${commit.branch}` : ''}
              </span>
            </p>
          ) : null}
        </div>
      </div>
      {warnings.length > 0 ? (
        <ul className="flex flex-col gap-2 border-t bg-warn-soft px-4 py-3 text-warn sm:px-5">
          {warnings.map((warning) => (
            <li key={warning} className="flex gap-2">
              <TriangleAlert className="mt-0.5 size-4 shrink-0" aria-hidden /> {warning}
            </li>
          ))}
        </ul>
      ) : null}
      {evidence.length > 0 ? (
        <details className="border-t px-4 py-2.5 sm:px-5">
          <summary className="cursor-pointer text-muted text-sm hover:text-fg">Why? What was found in the files</summary>
          <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 pb-1 text-sm">
            {evidence.map((piece) => (
              <div key={`${piece.file} ${piece.found}`} className="contents">
                <dt className="font-mono text-xs leading-5">{piece.file}</dt>
                <dd className="text-muted">{piece.found}</dd>
              </div>
            ))}
          </dl>
        </details>
      ) : null}
    </Card>
  )
}
