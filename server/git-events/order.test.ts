import { describe, expect, it } from 'vitest'
import { isOutside, isSameRepository, skipMarker } from './filters'
import { headAfter, pathFrom } from './order'
import { combine, type Outcome } from './outcome'

const steps = (...pairs: string[]) =>
  pairs.map((pair) => ({ before: pair[0] === '-' ? null : (pair[0] ?? ''), after: pair[1] === '-' ? null : (pair[1] ?? '') }))

describe('the head of a branch by its pushes', () => {
  it.each([
    ['one push on the known head', 'a', steps('ab'), 'b'],
    ['a chain in any order, repeated', 'a', steps('cd', 'ab', 'bc', 'ab'), 'd'],
    ['the branch was deleted', 'a', steps('ab', 'b-'), null],
    ['nothing is known of the branch', null, steps('ab'), undefined],
    ['a push is missing', 'a', steps('bc'), undefined],
    ['a push is missing in the middle', 'a', steps('ab', 'cd'), undefined],
    ['two pushes from one commit', 'a', steps('ab', 'ac'), undefined],
    ['pushed back and forth', 'a', steps('ab', 'ba'), undefined],
    ['an old delivery', 'c', steps('ab'), undefined],
  ] as const)('%s', (_, known, pushes, head) => {
    expect(headAfter(known, pushes)).toBe(head)
  })

  it('the path ends where pushes fork', () => {
    expect(pathFrom('a', steps('ab', 'bc'))).toHaveLength(2)
    expect(pathFrom('a', steps('ab', 'bc', 'bd'))).toBeNull()
  })
})

describe('what keeps a push from being deployed', () => {
  it('a marker in the message, in any case', () => {
    expect(['fix [Skip CI]', 'x [ci skip]', 'y [skip deploy]'].map(skipMarker)).toEqual(['[skip ci]', '[ci skip]', '[skip deploy]'])
    expect(['skip ci', null].map(skipMarker)).toEqual([null, null])
  })

  it('changes outside of the root directory alone, as far as all files are known', () => {
    expect(isOutside('apps/web', ['docs/a.md', 'apps/website/b'])).toBe(true)
    expect(isOutside('./apps/web/', ['docs/a.md', 'apps/web/b'])).toBe(false)
    for (const [root, files] of [
      ['apps/web', null],
      ['apps/web', []],
      [null, ['a']],
      ['.', ['a']],
    ] as const)
      expect(isOutside(root, files)).toBe(false)
  })

  it('another repository; the same one by ssh, https, case or a subpath is the same', () => {
    for (const address of [
      'https://github.com/Acme/shop.git',
      'git@github.com:acme/shop.git',
      'ssh://git@git.example:2222/acme/shop',
      'https://git.example/gitea/acme/shop/',
    ])
      expect([address, isSameRepository(address, 'acme/Shop')]).toEqual([address, true])
    for (const address of ['https://github.com/acme/shop2', 'https://github.com/megaacme/shop', 'https://github.com/other/shop'])
      expect([address, isSameRepository(address, 'acme/shop')]).toEqual([address, false])
  })

  it('a deployment in one environment outweighs what was ignored in another', () => {
    const base = { environmentId: 'e', deploymentId: null, code: 'queued' } as const
    const outcomes: Outcome[] = [
      { ...base, decision: 'ignored', reason: 'automatic deploys of staging are paused' },
      { ...base, decision: 'queued', reason: 'deployment d in production' },
    ]
    expect(combine(outcomes)).toEqual({ decision: 'queued', reason: 'deployment d in production; ignored: automatic deploys of staging are paused' })
  })
})
