import type { LoadResult } from './load'
import { cpuSeconds } from './processes'
import type { Contender } from './proxies'

export interface Sample {
  /** Requests per CPU-second of the proxy: the figure that survives a noisy machine. */
  perCpuSecond: number
  perSecond: number
  failures: number
  p99Ms: number | null
}

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

async function sample(proxy: Contender, load: (proxy: Contender) => Promise<LoadResult>): Promise<Sample> {
  const pids = proxy.pids()
  const before = cpuSeconds(pids)
  const result = await load(proxy)
  const cpu = cpuSeconds(pids) - before
  return { perCpuSecond: result.requests / cpu, perSecond: result.requests / result.seconds, failures: result.failures, p99Ms: result.p99Ms }
}

/** The same load on each proxy in turn, `rounds` times, beginning with another one each round. */
export async function interleave(
  proxies: Contender[],
  rounds: number,
  load: (proxy: Contender) => Promise<LoadResult>,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(proxies.map((proxy) => [proxy.name, []]))
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < proxies.length; i++) {
      const proxy = proxies[(i + round + 1) % proxies.length]
      if (!proxy) continue
      const one = await sample(proxy, load)
      // The first round warms up compilers, pools and page caches.
      if (round >= 0) samples.get(proxy.name)?.push(one)
    }
  }
  return samples
}
