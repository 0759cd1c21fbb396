import type { z } from 'zod'
import type { endpoints } from '../endpoints'

/** Types of REST v1 for TypeScript clients, by method and path as in the documentation. */

type Leaves<T> = T extends { kind: string } ? T : { [K in keyof T]: Leaves<T[K]> }[keyof T]
type Routed<E> = E extends { method: infer M extends string; path: infer P extends string } ? `${M} ${P}` : never
type ByRoute = { [E in Leaves<typeof endpoints> as Routed<E>]: E }

/** Method and path of a route, such as `GET /projects/{project}`. */
export type RestRouteName = keyof ByRoute

/** The JSON response of a route. */
export type RestAnswer<R extends RestRouteName> = ByRoute[R] extends { output?: infer O } ? (O extends z.ZodType ? z.output<O> : undefined) : never

type FieldsInPath<R extends string> = R extends `${string}{${infer Name}}${infer Rest}` ? Name | FieldsInPath<Rest> : never
type InputOf<E> = E extends { input?: infer I } ? (I extends z.ZodObject ? z.input<I> : Record<never, never>) : never

/** The JSON body or the query of a route. */
export type RestFields<R extends RestRouteName> = Omit<InputOf<ByRoute[R]>, FieldsInPath<R>>
