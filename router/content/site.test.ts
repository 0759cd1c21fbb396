import { expect, test } from 'vitest'
import { MemoryBound } from '../http/memory-bound'
import { OpenFiles } from './open-files'
import { Site } from './site'

const fileOf = (name: string) => ({ name, file: `/${name}`, size: 1, lastModified: 0 })

test('what scanners ask for is remembered in proportion to the site, not to the scan', () => {
  const files = new Map(['index.html', 'about.html'].map((name) => [name, fileOf(name)]))
  const site = new Site('sha256:1', { files }, { memory: new MemoryBound(1_000), files: new OpenFiles(), later: () => false })
  for (let i = 0; i < 5_000; i++) expect(site.at(`/scan-${i}`)).toBeNull()
  expect(site.remembered).toBeLessThan(500)
  expect(site.at('/about')?.name).toBe('about.html')
})
