import type { ProjectRules } from '@/shared/project-rules'

/** A file with rules, as text. `name` is its path in the project, for messages. */
export interface RuleFile {
  kind: 'switchyard.json' | 'vercel.json' | '_redirects' | '_headers'
  name: string
  text: string
}

export interface RuleWarning {
  file: string
  /** From 1; null: of the whole file. */
  line: number | null
  message: string
}

export interface ParsedRules {
  policy: Partial<ProjectRules>
  warnings: RuleWarning[]
}

/** "vercel.json:12: …", as a line of the log. */
export const warningText = ({ file, line, message }: RuleWarning): string => `${file}${line === null ? '' : `:${line}`}: ${message}`

export const maxWarnings = 50
export const maxLines = 10_000

/** Rules written with where they came from, so that a check that comes later can still name the line. */
export interface Placed<R> {
  rule: R
  line: number | null
}
