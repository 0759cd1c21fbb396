import { endpoints } from './endpoints'
import { proceduresOf } from './procedures'
import { createCallerFactory, router } from './trpc'

/** The tRPC router of the dashboard. */
export const appRouter = router(proceduresOf(endpoints))
export type AppRouter = typeof appRouter

/** For pages rendered on the server: calls the same procedures in process. */
export const createCaller = createCallerFactory(appRouter)
