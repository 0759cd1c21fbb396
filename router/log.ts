import pino, { type Logger } from 'pino'

/**
 * JSON lines on stdout that can never stop the router: a reader that is slow, frozen or dead costs log lines, not requests.
 */
export function createRouterLog(level: string, workerId: number): { log: Logger; flush: () => void } {
  const destination = pino.destination({ fd: 1, sync: false, maxLength: 4 * 1024 * 1024 })
  // Mostly EPIPE after the supervisor died.
  destination.on('error', () => {})
  const log = pino({ level, base: { room: 'router', worker: workerId, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  const flush = () => {
    try {
      destination.flushSync()
    } catch {
      // the reader is gone
    }
  }
  return { log, flush }
}

/** The log interface of engines: fields, then a message. Compatible with pino. */
export interface RouterLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
