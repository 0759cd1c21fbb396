import { FirstError, plain } from '@/shared/first-error'

/** Finds the reason of a failed command while it runs: the reason may be printed thousands of lines before the end. */

/** Advice for known kinds of output, by priority: the first rule that matches any line wins. */
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

/** Cheap filter: matches every line that any of the rules matches, and few others. */
const suspicious = /err|lock|YN0|ERR_|E[A-Z]{4}|not found|couldn't|could not|no version|resolve|gyp|cannot|module/i

/** Reads the output of one command. */
export class FailureReason {
  private rule = rules.length
  private readonly first = new FirstError()

  /** Processes a masked line. */
  look(line: string): void {
    this.first.look(line)
    if (!suspicious.test(line)) return
    const text = plain(line)
    const found = rules.slice(0, this.rule).findIndex(({ pattern }) => pattern.test(text))
    if (found >= 0) this.rule = found
  }

  /** Advice, if the output is of a known kind. */
  advice(): string | null {
    return rules[this.rule]?.advice ?? null
  }

  /** The first error with its continuation lines; empty: no error found. */
  firstError(): readonly string[] {
    return this.first.lines()
  }
}
