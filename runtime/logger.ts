/** The part of pino that drivers use. */
export interface RuntimeLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
