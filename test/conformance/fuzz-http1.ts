/**
 * Hostile HTTP/1.1 through a real engine to an instance that records bytes:
 *   npx tsx test/conformance/fuzz-http1.ts 1000000            mutations of the project's own corpus
 *   npx tsx test/conformance/fuzz-http1.ts requests.json      a file of [{ "name", "b64" }] as it is, then 10 mutations of each
 * `--engine=http-proxy` tries the other engine, `--seed=N` other mutations. Ends with 1 when anything was desynchronised or unclean.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Mutator } from '@/router/engine/contract/corpus/mutations'
import { openTrial, type Trial } from '@/router/engine/contract/corpus/trial'
import { createHttpProxyEngine } from '@/router/engine/http-proxy/engine'
import { createLeanEngine } from '@/router/engine/lean'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: 'string', default: 'lean' }, seed: { type: 'string', default: '1' }, lanes: { type: 'string', default: '16' } },
})

interface RawCase {
  name: string
  b64: string
}

function* cases(what: string, seed: number): Generator<Buffer[]> {
  if (/^[0-9]+$/.test(what)) {
    const mutator = new Mutator(seed)
    for (let left = Number(what); left > 0; left--) yield mutator.parts(mutator.next())
    return
  }
  const raw = JSON.parse(readFileSync(what, 'utf8')) as RawCase[]
  const bases = raw.map(({ name, b64 }) => ({ name, bytes: Buffer.from(b64, 'base64').toString('latin1') }))
  for (const { bytes } of bases) yield [Buffer.from(bytes, 'latin1')]
  // Its hosts are of all kinds; with ours, more of it comes through to the instance.
  const ours = bases.map(({ name, bytes }) => ({ name, bytes: bytes.replace(/^(host:[ \t]*)[^\r\n]*/im, '$1app.test') }))
  for (const { bytes } of ours) yield [Buffer.from(bytes, 'latin1')]
  const mutator = new Mutator(seed, ours)
  for (let left = raw.length * 10; left > 0; left--) yield mutator.parts(mutator.next())
}

async function main(): Promise<void> {
  const create = values.engine === 'http-proxy' ? createHttpProxyEngine : createLeanEngine
  const queue = cases(positionals[0] ?? '100000', Number(values.seed))
  const counts = { tried: 0, desynchronised: 0, unclean: 0 }
  const started = Date.now()
  const work = async (trial: Trial) => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const { unclean, desynchronised } = await trial.try(next.value)
      if (unclean.length > 0) counts.unclean++
      if (desynchronised !== null) counts.desynchronised++
      if (unclean.length > 0 || desynchronised !== null)
        process.stdout.write(`${JSON.stringify({ unclean, desynchronised, bytes: Buffer.concat(next.value).toString('latin1') })}\n`)
      if (++counts.tried % 50_000 === 0) process.stdout.write(`${JSON.stringify(counts)} ${Math.round((Date.now() - started) / 1000)} s\n`)
    }
  }
  const trials = await Promise.all(Array.from({ length: Number(values.lanes) }, () => openTrial(create)))
  await Promise.all(trials.map(work))
  for (const trial of trials) await trial.close()
  process.stdout.write(`${values.engine}: ${JSON.stringify(counts)} in ${Math.round((Date.now() - started) / 1000)} s\n`)
  process.exitCode = counts.desynchronised + counts.unclean > 0 ? 1 : 0
}

void main()
