import { z } from 'zod'

/** Decimal digits become a number. JavaScript's `Number` would also take `0x10`, `1e2`, a blank text and `true`. */
const fromDigits = (value: unknown): unknown => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value)

/** A whole number; in a query string its decimal digits. */
export const wholeNumber = (min: number, max: number) => z.preprocess(fromDigits, z.number().int().min(min).max(max))

/** The same with a default, which stands within: the JSON Schema would drop it outside. */
export const wholeNumberOr = (fallback: number, min: number, max: number) =>
  z.preprocess(fromDigits, z.number().int().min(min).max(max).default(fallback))
