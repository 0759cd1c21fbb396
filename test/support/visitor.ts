import type { RunningPlatform } from './platform'

export interface Visits {
  count: number
  /** Answers that were not the app's. */
  failures: string[]
}

/** Asks an app again and again until stopped. */
export function startVisitor(platform: RunningPlatform, hostname: string, pauseMs = 0): { stop(): Promise<Visits> } {
  const visits: Visits = { count: 0, failures: [] }
  let stopped = false
  const ended = (async () => {
    while (!stopped) {
      const answer = await platform.visit(hostname).catch((error: Error) => ({ status: 0, body: error.message }))
      visits.count += 1
      if (answer.status !== 200) visits.failures.push(`${new Date().toISOString()} ${answer.status} ${answer.body.slice(0, 100)}`)
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  })()
  return {
    async stop() {
      stopped = true
      await ended
      return visits
    },
  }
}
