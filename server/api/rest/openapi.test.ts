import { expect, it } from 'vitest'
import { catalogue, matchRoute } from './catalogue'
import { handleOpenApi, openApiDocument, openApiText } from './openapi'

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

it('the served document is answered with 304 when the client has it, without a body for HEAD, and 405 for what changes things', async () => {
  const ask = (method: string, headers: Record<string, string> = {}) =>
    handleOpenApi(new Request('http://localhost/api/v1/openapi.json', { method, headers }))
  const first = ask('GET')
  const etag = first.headers.get('etag') ?? ''
  expect(await first.text()).toBe(openApiText())
  expect(ask('GET', { 'if-none-match': etag }).status).toBe(304)
  expect(ask('HEAD').headers.get('content-length')).toBe(String(Buffer.byteLength(openApiText())))
  expect(await ask('HEAD').text()).toBe('')
  expect([ask('PUT').status, ask('PUT').headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
})
