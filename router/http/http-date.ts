const imfFixdate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/
const rfc850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/
const asctime = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}:\d{2}:\d{2}) (\d{4})$/

/** Parses an HTTP-date in any of its three forms (RFC 9110 §5.6.7) to whole seconds since 1970; null: invalid. */
export function parseHttpDate(text: string | undefined): number | null {
  if (text === undefined) return null
  const old = rfc850.exec(text)
  const c = asctime.exec(text)
  let normal = text
  if (old) normal = `Mon, ${old[1]} ${old[2]} ${centuryOf(Number(old[3]))} ${old[4]} GMT`
  else if (c) normal = `Mon, ${(c[2] ?? '').replace(' ', '0')} ${c[1]} ${c[4]} ${c[3]} GMT`
  if (!imfFixdate.test(normal)) return null
  const ms = Date.parse(normal.slice(5))
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000)
}

// A two-digit year more than 50 years in the future belongs to the past century.
function centuryOf(year: number): number {
  const now = new Date().getUTCFullYear()
  const guess = now - (now % 100) + year
  return guess > now + 50 ? guess - 100 : guess
}

/** IMF-fixdate of whole seconds since 1970. */
export const formatHttpDate = (seconds: number): string => new Date(seconds * 1000).toUTCString()
