import type { ErrorCode } from '@/shared/errors'

/** What a page says, before it is HTML or JSON. */
export interface PageText {
  status: number
  code: ErrorCode
  title: string
  /** What happened and why. */
  message: string
  /** What to do, first step first. */
  actions: string[]
}
