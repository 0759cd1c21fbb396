/** Why a command failed, read from what it prints while it prints it: a reason may lie thousands of lines before the end. */

const longestLine = 400
const errorLines = 5

// CSI and OSC sequences: colours, titles, links.
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,400}(?:\u0007|\u001b\\))/g

/** Text without what terminals interpret, cut at a length that a pattern may be tried on. */
const plain = (text: string): string => text.slice(0, 4096).replace(escapes, '').trimEnd().slice(0, longestLine)

/** What to do about output of a known kind; the first that fits any line wins over those below it. */
const rules: { pattern: RegExp; advice: string }[] = [
  {
    pattern:
      /^npm (?:ERR!|error) (?:`npm ci` can only install|Missing: \S+ from lock file|Invalid: lock file)|ERR_PNPM_(?:OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|FROZEN_LOCKFILE)|Your lockfile needs to be updated|YN0028|lockfile had changes, but lockfile is frozen/,
    advice: 'The lock file does not fit package.json. Run the install on your machine and commit the lock file.',
  },
  {
    pattern:
      /^npm (?:ERR!|error) code E40[13]\b|ERR_PNPM_FETCH_40[13]|YN0041|^error: GET \S+ - 40[13]\b|Request failed "40[13]|^error Error: \S+: .*(?:token|auth|login|forbidden)/i,
    advice: 'The registry named above wants other credentials. Set the token that .npmrc or .yarnrc.yml names as a build variable of the project.',
  },
  {
    pattern: /^npm (?:ERR!|error) code E404\b|ERR_PNPM_FETCH_404|YN0035|Couldn't find package|^error: GET \S+ - 404\b/,
    advice: 'A package is not in the registry. Check its name in package.json; a private one needs its registry and a token in .npmrc.',
  },
  {
    pattern: /^npm (?:ERR!|error) code ETARGET\b|ERR_PNPM_NO_MATCHING_VERSION|YN0082|Couldn't find any versions for|^error: No version matching/,
    advice: 'No published version fits what package.json asks for. Correct the version there, install on your machine and commit the lock file.',
  },
  {
    pattern: /^npm (?:ERR!|error) (?:code )?ERESOLVE\b|ERR_PNPM_PEER_DEP_ISSUES/,
    advice:
      'Two dependencies want different versions of a third. Choose versions that fit each other, or set the install command to "npm install --legacy-peer-deps".',
  },
  {
    pattern: /gyp ERR!|node-gyp|not found: make|g\+\+: not found/,
    advice:
      'A dependency compiles native code and this build image has no compiler. Use a version with prebuilt binaries, add a Dockerfile, or let the machine reach an image registry (then node:<major> is used).',
  },
  {
    pattern: /\b(?:EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ERR_PNPM_META_FETCH_FAIL)\b/,
    advice: 'A server that the build asks does not answer. Deploy again; if it stays so, check the registry or address named above.',
  },
  {
    pattern: /Module not found: |Cannot find module |Could not resolve "|failed to resolve import|ERR_MODULE_NOT_FOUND|error TS2307:/,
    advice:
      'Something that the code imports is not there. Check its name (upper and lower case are different here), and that its package is among the dependencies.',
  },
  {
    pattern: /(?:^|\s)error TS\d+: |^Type error: /,
    advice: 'Correct the types named above; "npx tsc --noEmit" on your machine shows the same.',
  },
]

/** What every line has that any of the patterns fits: most lines of a log are ruled out by it. */
const suspicious =
  /err|fail|fatal|exception|lock|YN0|ERR_|E[A-Z]{4}|not found|no such|denied|cannot|couldn't|could not|no version|missing|resolve|gyp|EUSAGE|module/i

/** Lines that lead in the error but do not say it. */
const heading = /^(?:error during build:|Failed to compile\.|> Build error occurred|✗ Build failed in |\[?ERROR\]? *$)/i

/** The beginning of an error. */
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

/** What package managers and Node say around an error, whatever it is. */
const noise =
  /^npm (?:ERR!|error)(?:$|\s*(?:A complete log of this run|Lifecycle script|code |path |workspace |location |command |Clean install a project|Usage:|npm ci$|Options:|\[-|aliases:|Run "npm help|For a full report|\/.*\.(?:txt|log)$|\d{3}$|notarget In most|notarget a package|404 (?:Note|tarball)))|ELIFECYCLE|^error Command failed with exit code|^error: script "|^info (?:Visit|No lockfile)|^Node\.js v\d|^\s*at |^\s*\^+\s*$|^file: |^➤ YN0000|^\s*$|^WARN\b|baseline-browser-mapping/

const stackFrame = /^\s*at /

/** Follows the output of one command. */
export class FailureReason {
  private rule = rules.length
  private error: string[] = []
  private collecting = false
  private complete = false

  /** Takes a line as it is shown (masked). */
  look(line: string): void {
    if (!this.collecting && !suspicious.test(line)) return
    const text = plain(line)
    const found = rules.slice(0, this.rule).findIndex(({ pattern }) => pattern.test(text))
    if (found >= 0) this.rule = found
    if (!this.complete) this.collect(text)
  }

  /** What to do, where the output is of a known kind. */
  advice(): string | null {
    return rules[this.rule]?.advice ?? null
  }

  /** The first error with the lines that belong to it; empty when nothing looked like one. */
  firstError(): readonly string[] {
    return this.error
  }

  private collect(text: string): void {
    if (heading.test(text)) {
      this.collecting = true
      return
    }
    if (this.error.length > 0 && stackFrame.test(text)) {
      this.complete = true
      this.collecting = false
      return
    }
    if (noise.test(text)) return
    if (!this.collecting && !firstLines.some((pattern) => pattern.test(text))) return
    this.collecting = true
    this.error.push(text)
    this.complete = this.error.length >= errorLines
    if (this.complete) this.collecting = false
  }
}

/** The last lines that say something, oldest first. */
export function tellingLines(lines: readonly string[], count: number): string[] {
  const shown = lines.map(plain)
  const telling = shown.filter((line) => !noise.test(line))
  return (telling.length > 0 ? telling : shown).slice(-count)
}
