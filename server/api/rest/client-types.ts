import type { z } from 'zod'
import type { endpoints } from '../endpoints'

/** What REST v1 takes and gives, for clients written in TypeScript: named by method and path, as in the documentation. */

type Leaves<T> = T extends { kind: string } ? T : { [K in keyof T]: Leaves<T[K]> }[keyof T]
type Routed<E> = E extends { method: infer M extends string; path: infer P extends string } ? `${M} ${P}` : never
type ByRoute = { [E in Leaves<typeof endpoints> as Routed<E>]: E }

/** `GET /projects/{project}` and all others there are. */
export type RestRouteName = keyof ByRoute

/** The JSON that a route answers with. */
export type RestAnswer<R extends RestRouteName> = ByRoute[R] extends { output?: infer O } ? (O extends z.ZodType ? z.output<O> : undefined) : never

type FieldsInPath<R extends string> = R extends `${string}{${infer Name}}${infer Rest}` ? Name | FieldsInPath<Rest> : never
type InputOf<E> = E extends { input?: infer I } ? (I extends z.ZodObject ? z.input<I> : Record<never, never>) : never

/** The JSON body, or the query, that a route takes. */
export type RestFields<R extends RestRouteName> = Omit<InputOf<ByRoute[R]>, FieldsInPath<R>>
