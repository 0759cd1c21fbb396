import { afterAll, beforeAll, expect, test } from 'vitest'
import { Mutator } from '../contract/corpus/mutations'
import { corpus } from '../contract/corpus/requests'
import { openTrial, type Trial } from '../contract/corpus/trial'
import { createLeanEngine } from '../lean'

const lanes = 8
const mutations = 8_000
const trials: Trial[] = []

beforeAll(async () => {
  for (let i = 0; i < lanes; i++) trials.push(await openTrial(createLeanEngine))
})
afterAll(async () => {
  for (const trial of trials) await trial.close()
})

/** Tries all of them, some at a time; what went wrong, with the bytes that did it. */
async function faultsOf(next: () => Buffer[] | undefined): Promise<string[]> {
  const faults: string[] = []
  const work = async (trial: Trial) => {
    for (let parts = next(); parts !== undefined; parts = next()) {
      const { unclean, desynchronised } = await trial.try(parts)
      if (unclean.length > 0 || desynchronised !== null)
        faults.push(`${unclean.join()} ${desynchronised} after ${JSON.stringify(Buffer.concat(parts).toString('latin1'))}`)
    }
  }
  await Promise.all(trials.map(work))
  return faults
}

test(`${mutations} mutations of the corpus: no byte that is not a clean request at the instance, no answer that is another's`, async () => {
  const mutator = new Mutator(20_261_121)
  let left = mutations
  expect(await faultsOf(() => (left-- > 0 ? mutator.parts(mutator.next()) : undefined))).toEqual([])
}, 240_000)

test('the corpus, each request cut at every byte', async () => {
  const cuts = corpus
    .filter(({ bytes }) => bytes.length < 200)
    .flatMap(({ bytes }) => {
      const whole = Buffer.from(bytes, 'latin1')
      return Array.from({ length: whole.length - 1 }, (_, i) => [whole.subarray(0, i + 1), whole.subarray(i + 1)])
    })
  // Every seventh, from another beginning each: all of them take minutes.
  const some = cuts.filter((_, i) => i % 7 === 3)
  expect(await faultsOf(() => some.pop())).toEqual([])
}, 240_000)
