import { expect, test } from 'vitest'
import { deploymentHost, deploymentIdLength, hostUrl, maxSlugLength, slugify } from './naming'
import { newId } from './node/ids'

test.each([
  ['My App', 'my-app'],
  ['  --weird__ name!! ', 'weird-name'],
  ['Żółć Ünïcode', 'zo-c-unicode'],
  ['ends-with-dash-', 'ends-with-dash'],
  ['../../etc', 'etc'],
  ['日本', ''],
])('slugify(%j) is %j', (name, slug) => expect(slugify(name)).toBe(slug))

test('the longest slug with a deployment id fits into one DNS label', () => {
  const slug = slugify('x'.repeat(500))
  const label = deploymentHost(slug, newId(), 'localhost').split('.')[0] ?? ''
  expect(label.length).toBe(maxSlugLength + 1 + deploymentIdLength)
  expect(label.length).toBeLessThanOrEqual(63)
})

test('a cut slug does not end with a dash', () => {
  expect(slugify(`${'x'.repeat(maxSlugLength - 1)} y`)).toBe('x'.repeat(maxSlugLength - 1))
})

test('the port is part of a URL only when it is not the scheme’s own', () => {
  expect(hostUrl('a.localhost', { scheme: 'http', port: 8080 })).toBe('http://a.localhost:8080')
  expect(hostUrl('a.example', { scheme: 'http', port: 80 })).toBe('http://a.example')
  expect(hostUrl('a.example', { scheme: 'https', port: 443 })).toBe('https://a.example')
})
