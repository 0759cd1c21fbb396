import { endpoints } from './endpoints'
import { proceduresOf } from './procedures'
import { createCallerFactory, router } from './trpc'

/** What the dashboard calls. */
export const appRouter = router(proceduresOf(endpoints))
export type AppRouter = typeof appRouter

/** For pages that render on the server: the same procedures, called in process. */
export const createCaller = createCallerFactory(appRouter)
