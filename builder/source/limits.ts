/** What one source may cost. Every limit ends in an ERR_SOURCE that names it. */
export interface SourceLimits {
  /** Bytes of the tree once unpacked. */
  maxBytes: number
  /** Files, links and directories. */
  maxFiles: number
  /** Bytes on the wire: a git pack, a compressed archive. */
  maxFetchBytes: number
  /** Unpacked over packed, judged only past `ratioFreeBytes`: text packs 1:20 in good faith, a bomb 1:1000. */
  maxRatio: number
  ratioFreeBytes: number
  maxPathBytes: number
  /** Repositories that one source may link to, and how deeply these may link to others. */
  maxSubmodules: number
  maxSubmoduleDepth: number
  /** For the whole fetch. */
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
