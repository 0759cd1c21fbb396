import { expect, it } from 'vitest'
import { catalogue, matchRoute } from './catalogue'
import { openApiDocument, openApiText } from './openapi'

it('docs/openapi.json is what the schemas say (npx vitest run --project unit server/api/rest -u writes it anew)', async () => {
  await expect(openApiText()).toMatchFileSnapshot('../../../docs/openapi.json')
})

it('every route of the catalogue is documented, with all parameters of its path', () => {
  const { paths } = openApiDocument() as {
    paths: Record<string, Record<string, { operationId: string; parameters: { name: string; in: string }[] }>>
  }
  for (const route of catalogue) {
    const operation = paths[route.path]?.[route.method.toLowerCase()]
    expect(operation?.operationId).toBe(route.id)
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(operation?.parameters.filter((p) => p.in === 'path').map((p) => p.name)).toEqual(inPath)
  }
  expect(new Set(catalogue.map((route) => route.id)).size).toBe(catalogue.length)
})

it('a path is matched whole, and a wrong method says which ones there are', () => {
  expect(matchRoute('GET', '/projects/web')).toMatchObject({ route: { id: 'getProject' }, params: { project: 'web' } })
  expect(matchRoute('GET', '/projects/web/extra/more')).toBeNull()
  expect(matchRoute('PUT', '/projects')).toEqual({ allow: ['POST', 'GET'] })
  expect(matchRoute('GET', '/')).toBeNull()
})
