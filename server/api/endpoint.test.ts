import { expect, it } from 'vitest'
import { z } from 'zod'
import { endpoint, stream } from './endpoint'
import { routesOf } from './rest/endpoint-routes'

const base = { id: 'touchProject', method: 'POST', path: '/projects/{project}/touch', summary: 'Touch a project' } as const
const input = z.object({ project: z.string(), reason: z.string() })
const run = async () => {}

it('a definition without an action, or with one that is not in the permission table, does not compile', () => {
  // @ts-expect-error an action is missing
  endpoint({ ...base, run })
  // @ts-expect-error the permission table has no such action
  endpoint({ ...base, action: 'project.touch', run })
  // @ts-expect-error a stream needs one as well
  stream({ id: 'watch', path: null, summary: 'Watch', resumable: false, run: async function* () {} })
  endpoint({ ...base, action: 'project.update', run })
})

it('what runs must give what the definition says that it answers', () => {
  // @ts-expect-error `count` is a number
  endpoint({ ...base, action: 'project.update', output: z.object({ count: z.number() }), run: async () => ({ count: 'one' }) })
})

it('fields in the path are parameters, the others go into the body, or into the query of a request without one', () => {
  const shapes = (['PATCH', 'POST', 'DELETE', 'GET'] as const).map((method) => {
    const [route] = routesOf({ touch: endpoint({ ...base, method, action: 'project.update', input, run }) })
    return [route?.params, route?.query, route?.body].map((fields) => (fields instanceof z.ZodObject ? Object.keys(fields.shape) : null))
  })
  const inBody = [['project'], null, ['reason']]
  const inQuery = [['project'], ['reason'], null]
  expect(shapes).toEqual([inBody, inBody, inQuery, inQuery])
})

it('an endpoint without a path is no route', () => {
  expect(routesOf({ touch: endpoint({ ...base, path: null, action: 'project.update', run }) })).toEqual([])
})
