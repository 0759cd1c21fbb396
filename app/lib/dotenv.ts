export interface DotenvEntry {
  key: string
  value: string
}

const assignment = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*([\s\S]*)$/
const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' }

/** Index of the quote that closes the quote at 0; -1 if the text ends first. */
function closingQuote(text: string, quote: string): number {
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\' && quote === '"') at++
    else if (text[at] === quote) return at
  }
  return -1
}

/** Parses a `.env` text: comments, `export`, quotes, multi-line values. Later lines win. */
export function parseDotenv(text: string): DotenvEntry[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  const found = new Map<string, string>()
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ''
    const match = assignment.exec(line)
    if (line.trim().startsWith('#') || !match?.[1]) continue
    let raw = match[2] ?? ''
    const quote = raw[0]
    if (quote === '"' || quote === "'" || quote === '`') {
      let end = closingQuote(raw, quote)
      let last = index
      while (end === -1 && last + 1 < lines.length) {
        raw += `\n${lines[++last]}`
        end = closingQuote(raw, quote)
      }
      if (end !== -1) {
        const inner = raw.slice(1, end)
        found.set(match[1], quote === '"' ? inner.replace(/\\([nrt"\\])/g, (_, letter: string) => escapes[letter] ?? letter) : inner)
        index = last
        continue
      }
      // An unclosed quote is part of the value of this line.
      raw = match[2] ?? ''
    }
    found.set(match[1], raw.replace(/\s+#.*$/, '').trim())
  }
  return [...found].map(([key, value]) => ({ key, value }))
}

/** True when a pasted text is a list of assignments rather than one value. */
export const looksLikeDotenv = (text: string): boolean =>
  text.includes('\n') ? parseDotenv(text).length > 0 : /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=./.test(text)
