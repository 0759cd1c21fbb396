import { expect, test } from 'vitest'
import { holdMirror, takeTurns } from './mirror-turns'

const tick = () => new Promise((resolve) => setImmediate(resolve))

test('uses of one mirror take turns, also after one has failed; another mirror does not wait', async () => {
  const order: string[] = []
  const first = Promise.withResolvers<void>()
  const failing = takeTurns('a', async () => {
    order.push('first')
    await first.promise
    throw new Error('of the first')
  })
  const second = takeTurns('a', async () => order.push('second'))
  await takeTurns('b', async () => order.push('other mirror'))
  expect(order).toEqual(['first', 'other mirror'])
  first.resolve()
  await expect(failing).rejects.toThrow('of the first')
  await second
  expect(order).toEqual(['first', 'other mirror', 'second'])
})

test('a mirror that a source step fetches into is not removed, and a fetch waits while one is removed', async () => {
  const fetching = Promise.withResolvers<void>()
  const fetch = takeTurns('a', () => fetching.promise)
  expect(holdMirror('a')).toBeNull()
  fetching.resolve()
  await fetch
  await tick()
  const release = holdMirror('a')
  expect(release).toBeTypeOf('function')
  let fetched = false
  const next = takeTurns('a', async () => {
    fetched = true
  })
  await tick()
  expect(fetched).toBe(false)
  release?.()
  await next
  expect(fetched).toBe(true)
})
