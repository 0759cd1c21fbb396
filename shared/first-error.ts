/** Finds the first error in the output of a program (build commands and apps). */

const maxLineLength = 400
const errorLines = 5

/** Headings for quoted output in an error message. */
export const firstErrorTitle = 'Its first error:'
export const lastLinesTitle = 'It said last:'

// CSI and OSC sequences: colours, titles, links.
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,400}(?:\u0007|\u001b\\))/g

/** Removes escape sequences of terminals and bounds the length for matching. */
export const plain = (text: string): string => text.slice(0, 4096).replace(escapes, '').trimEnd().slice(0, maxLineLength)

/** Cheap filter: matches every line that any of the patterns below matches, and few others. */
const suspicious =
  /err|fail|fatal|exception|lock|YN0|ERR_|E[A-Z]{4}|not found|no such|denied|cannot|couldn't|could not|no version|missing|resolve|gyp|EUSAGE|module/i

/** Lines that introduce an error without describing it. */
const heading = /^(?:error during build:|Failed to compile\.|> Build error occurred|✗ Build failed in |\[?ERROR\]? *$)/i

/** First lines of errors. */
const firstLines = [
  /^npm (?:ERR!|error) (?!code )\S/,
  /^\s*ERR_PNPM_\w+/,
  /^➤ YN(?:0001|0009|0018|0027|0028|0035|0041|0082): \S+ .*\w/,
  /^(?:error|fatal)(?: \w+)?(?:\s*[:!]| (?=[A-Z"]))/i,
  /^\[(?:error|fatal)\]/i,
  /^(?:Uncaught )?(?:[A-Z]\w*)?(?:Error|Exception)(?: \[\w+\])?: /,
  /^Internal Error: /,
  /(?:^|[\s)])error TS\d+: /,
  /^(?:Type error|Module not found|SyntaxError|Error occurred prerendering)/,
  /^(?:sh|bash|\/bin\/sh): .*(?:not found|No such file|Permission denied)/,
]

/** Lines that package managers and Node print around any error. */
const noise =
  /^npm (?:ERR!|error)(?:$|\s*(?:A complete log of this run|Lifecycle script|code |path |workspace |location |command |Clean install a project|Usage:|npm ci$|Options:|\[-|aliases:|Run "npm help|For a full report|\/.*\.(?:txt|log)$|\d{3}$|notarget In most|notarget a package|404 (?:Note|tarball)))|ELIFECYCLE|^error Command failed with exit code|^error: script "|^info (?:Visit|No lockfile)|^Node\.js v\d|^node:internal\/|^\s*throw (?:err|er|error);?(?: \/\/.*)?$|^\s*at |^\s*\^+\s*$|^file: |^➤ YN0000|^\s*$|^WARN\b|baseline-browser-mapping/

const stackFrame = /^\s*at /
/** Stack frames of Node and of packages: they do not show the project's own code. */
const foreignFrame = /^\s*at (?:.*[( ]|)(?:node:|internal\/)|^\s*at .*[\\/]node_modules[\\/]/

/** Reads the output of a program line by line and keeps its first error. */
export class FirstError {
  private readonly error: string[] = []
  private collecting = false
  private complete = false
  private inStack = false

  /** Processes a masked line. */
  look(line: string): void {
    if (this.complete || (!this.collecting && !suspicious.test(line))) return
    this.collect(plain(line))
  }

  /** The first error, with its continuation lines and the first frame of the project's own code; empty: no error found. */
  lines(): readonly string[] {
    return this.error
  }

  private collect(text: string): void {
    if (heading.test(text)) {
      this.collecting = true
      return
    }
    if (this.error.length > 0 && stackFrame.test(text)) {
      this.inStack = true
      if (foreignFrame.test(text)) return
      this.error.push(text)
      this.end()
      return
    }
    if (this.inStack) {
      this.end()
      return
    }
    if (noise.test(text)) return
    if (!this.collecting && !firstLines.some((pattern) => pattern.test(text))) return
    this.collecting = true
    this.error.push(text)
    if (this.error.length >= errorLines) this.end()
  }

  private end(): void {
    this.complete = true
    this.collecting = false
  }
}

/** The last informative lines, oldest first. */
function tellingLines(lines: readonly string[], count: number): string[] {
  const shown = lines.map(plain)
  const telling = shown.filter((line) => !noise.test(line))
  return (telling.length > 0 ? telling : shown).slice(-count)
}

/** The first error, then the last informative lines, without duplicates. */
export function quoteOutput(first: readonly string[], lastLines: readonly string[], shownLines: number): string[] {
  const last = tellingLines(lastLines, shownLines).filter((line) => line !== '')
  const rest = last.filter((line) => !first.includes(line))
  return [...section(firstErrorTitle, first), ...section(lastLinesTitle, rest)]
}
const section = (title: string, texts: readonly string[]): string[] => (texts.length > 0 ? [title, ...texts.map((line) => `  ${line}`)] : [])
