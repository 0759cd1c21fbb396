import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectUsers } from '@/shared/node/user-firewall'
import { layout } from './layout'
import { existingUid, releaseUid, uidOfProject } from './users'

describe.runIf(process.getuid?.() === 0)('users of projects', () => {
  it('are one per project, the same ever after, and never shared, however many ask at once', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-users-'))
    try {
      const paths = layout(home)
      const names = Array.from({ length: 60 }, (_, i) => `p${i % 20}`)
      await Promise.all(names.map((name) => uidOfProject(paths, name)))
      const uids = await Promise.all(names.map((name) => uidOfProject(paths, name)))
      expect(new Set(uids).size).toBe(20)
      expect(uids.slice(0, 20)).toEqual(uids.slice(20, 40))
      expect(Math.min(...uids)).toBeGreaterThanOrEqual(projectUsers.first)
      expect(Math.max(...uids)).toBeLessThanOrEqual(projectUsers.last)
      expect(await readdir(paths.users)).toHaveLength(20)
      await releaseUid(paths, uids[0] as number)
      expect(await existingUid(paths, 'p0')).toBeNull()
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })
})
