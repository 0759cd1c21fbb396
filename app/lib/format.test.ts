import { describe, expect, it } from 'vitest'
import { commitsUrl, exactTime, formatAge, formatBytes, formatDuration, nameFromRepository, repositoryLabel } from './format'

describe('what people read', () => {
  it('links to the commits between two deployments of one repository on a forge whose addresses are known, without credentials', () => {
    const at = (repository: string | null, commitSha: string | null) => ({ source: { kind: 'git' as const, repository }, commitSha })
    const shop = 'https://token@github.com/team/shop.git'
    expect(commitsUrl(at(shop, 'a1'), at(shop, 'b2'))).toBe('https://github.com/team/shop/compare/a1...b2')
    expect(commitsUrl(at(shop, 'a1'), at('https://github.com/team/other', 'b2'))).toBeNull()
    expect(commitsUrl(at(shop, null), at(shop, 'b2'))).toBeNull()
    expect(commitsUrl(at('https://git.example.com/a/b', 'a1'), at('https://git.example.com/a/b', 'b2'))).toBeNull()
  })
  it('never shows credentials of a repository', () => {
    expect(repositoryLabel('https://user:token@git.example.com/team/app.git')).toBe('git.example.com/team/app')
    expect(repositoryLabel('git@github.com:team/app.git')).toBe('github.com:team/app')
  })
  it('names a project after its repository', () => {
    expect(nameFromRepository(' https://github.com/team/my-app.git/ ')).toBe('my-app')
    expect(nameFromRepository('git@github.com:app.git')).toBe('app')
    expect(nameFromRepository('')).toBe('')
  })
  it('labels a time with its zone', () => {
    expect(exactTime('2026-11-30T14:03:09Z', 'UTC')).toBe('Nov 30, 2026, 14:03:09 UTC')
    expect(exactTime('2026-11-30T14:03:09Z', 'Asia/Tokyo')).toBe('Nov 30, 2026, 23:03:09 GMT+9')
  })
  it('rounds times so that they do not jump', () => {
    expect([640, 4200, 42_900, 188_000, 7_500_000, 273_600_000].map(formatDuration)).toEqual([
      '640 ms',
      '4.2 s',
      '42 s',
      '3 m 08 s',
      '2 h 05 m',
      '3 d 4 h',
    ])
  })
  it('tells ages from seconds to dates', () => {
    const now = Date.parse('2026-11-21T12:00:00Z')
    const age = (seconds: number) => formatAge(new Date(now - seconds * 1000), now)
    expect([5, 60, 3600, 90_000].map(age)).toEqual(['just now', '1 min ago', '1 h ago', '1 d ago'])
    expect(age(40 * 86_400)).toMatch(/2026/)
    expect(age(-30), 'a clock that is behind').toBe('just now')
  })
  it('writes sizes in powers of 1024', () => {
    expect([512, 1536, 50_400_000, 536_870_912].map(formatBytes)).toEqual(['512 B', '1.5 KB', '48.1 MB', '512 MB'])
  })
})
