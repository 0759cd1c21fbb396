/** Limits of a source. Exceeding one is an ERR_SOURCE that names the limit. */
export interface SourceLimits {
  /** Bytes of the unpacked tree. */
  maxBytes: number
  /** Number of files, links and directories. */
  maxFiles: number
  /** Transferred bytes: a git pack or a compressed archive. */
  maxFetchBytes: number
  /** Maximum compression ratio beyond `ratioFreeBytes`: text is compressed 1:20, a zip bomb 1:1000. */
  maxRatio: number
  ratioFreeBytes: number
  maxPathBytes: number
  /** Maximum number of submodules, and their depth of nesting. */
  maxSubmodules: number
  maxSubmoduleDepth: number
  /** Deadline for the whole fetch. */
  timeoutMs: number
}

const mebibyte = 1024 * 1024

export const defaultSourceLimits: SourceLimits = {
  maxBytes: 1024 * mebibyte,
  maxFiles: 100_000,
  maxFetchBytes: 512 * mebibyte,
  maxRatio: 200,
  ratioFreeBytes: 32 * mebibyte,
  maxPathBytes: 1024,
  maxSubmodules: 100,
  maxSubmoduleDepth: 5,
  timeoutMs: 10 * 60_000,
}
