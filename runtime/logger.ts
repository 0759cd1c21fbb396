/** The part of pino the drivers need. */
export interface RuntimeLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
