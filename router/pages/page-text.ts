import type { ErrorCode } from '@/shared/errors'

/** The text of a page, independent of HTML or JSON. */
export interface PageText {
  status: number
  code: ErrorCode
  title: string
  /** What happened and why. */
  message: string
  /** Next actions, in order. */
  actions: string[]
}
