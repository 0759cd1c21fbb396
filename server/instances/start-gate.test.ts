import { expect, test } from 'vitest'
import { createStartGate } from './start-gate'

/** Whether `entered` has resolved. */
const isIn = async (entered: Promise<unknown>) => (await Promise.race([entered, new Promise((next) => setImmediate(next, 'waiting'))])) !== 'waiting'

test('as many apps as the limit start at once, the others in their order', async () => {
  const gate = createStartGate(2)
  const [first, second] = [await gate.enter(), await gate.enter()]
  const third = gate.enter()
  const fourth = gate.enter()
  expect(await isIn(third)).toBe(false)
  first()
  first()
  expect(await isIn(third)).toBe(true)
  expect(await isIn(fourth)).toBe(false)
  second()
  expect(await isIn(fourth)).toBe(true)
})

test('an app that does not answer gives its place back after its share of time', async () => {
  const gate = createStartGate(1, 20)
  await gate.enter()
  const leave = await gate.enter()
  leave()
})

test('an app whose start is canceled leaves the queue', async () => {
  const gate = createStartGate(1)
  const leave = await gate.enter()
  const canceled = new AbortController()
  const waiting = gate.enter(canceled.signal)
  const behind = gate.enter()
  canceled.abort(new Error('the worker stops'))
  await expect(waiting).rejects.toThrow('the worker stops')
  leave()
  expect(await isIn(behind)).toBe(true)
})
