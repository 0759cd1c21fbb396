import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { eventCatalogue, eventKinds, requestedKind } from './events'

test('docs/events.md describes each kind of event, with its fields, as the catalogue does', () => {
  const text = readFileSync(new URL('../docs/events.md', import.meta.url), 'utf8')
  const documented = [...text.matchAll(/^\| `([a-z_.-]+)` \| (.+) \| (.+) \|$/gm)].map(([, kind, fields, summary]) => [kind, fields, summary])
  const fieldsOf = (kind: (typeof eventKinds)[number]) => Object.keys(eventCatalogue[kind].payload.shape).map((name) => `\`${name}\``)
  expect(documented).toEqual(eventKinds.map((kind) => [kind, fieldsOf(kind).join(', '), eventCatalogue[kind].summary]))
})

test('a queued deployment is named by its environment, a restart by itself', () => {
  expect(requestedKind('PRODUCTION', false)).toBe('deployment.production.requested')
  expect(requestedKind('PREVIEW', false)).toBe('deployment.preview.requested')
  expect(requestedKind('CUSTOM', false)).toBe('deployment.custom.requested')
  expect(requestedKind('PREVIEW', true)).toBe('deployment.restart.requested')
  for (const kind of ['PRODUCTION', 'PREVIEW', 'CUSTOM'] as const) expect(eventKinds).toContain(requestedKind(kind, false))
})
