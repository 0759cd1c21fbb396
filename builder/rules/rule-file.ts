import type { ProjectRules } from '@/shared/project-rules'

/** A file with rules. `name`: its path in the project, for messages. */
export interface RuleFile {
  kind: 'switchyard.json' | 'vercel.json' | '_redirects' | '_headers'
  name: string
  text: string
}

export interface RuleWarning {
  file: string
  /** From 1; null: the whole file. */
  line: number | null
  message: string
}

export interface ParsedRules {
  policy: Partial<ProjectRules>
  warnings: RuleWarning[]
}

/** "vercel.json:12: …" for the log. */
export const warningText = ({ file, line, message }: RuleWarning): string => `${file}${line === null ? '' : `:${line}`}: ${message}`

export const maxWarnings = 50
export const maxLines = 10_000

/** A rule with its position, so that later checks can name the line. */
export interface Placed<R> {
  rule: R
  line: number | null
}
