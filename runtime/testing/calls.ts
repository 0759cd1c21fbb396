import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceLogLine, ObservedInstance } from '../driver'

export const newTestId = () => randomBytes(6).toString('hex')

/** Calls an action of the test app. */
export async function call<T = Record<string, unknown>>(
  instance: ObservedInstance,
  action: string,
  query: Record<string, string | number> = {},
): Promise<T> {
  if (!instance.address) throw new Error('the instance has no address')
  const { host, port } = instance.address
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
  const response = await fetch(`http://${host}:${port}/${action}?${search}`, { signal: AbortSignal.timeout(30_000) })
  return (await response.json()) as T
}

/** Waits for a condition, not for a time. */
export async function eventually<T>(what: string, check: () => Promise<T | null | undefined | false>, ms = 30_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await sleep(25)
  }
}

export async function collect(lines: AsyncIterable<InstanceLogLine>): Promise<InstanceLogLine[]> {
  const all: InstanceLogLine[] = []
  for await (const line of lines) all.push(line)
  return all
}
