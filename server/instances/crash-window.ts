/** Ends of instances within this time count: for the pause before the next start, and for the health that people see. */
export const crashWindowMs = 10 * 60_000
/** A release whose instances ended this often within the window is in a crash loop, also while a new one runs for a moment. */
export const crashLoopAfter = 4
/** Without a running instance the second end within the window is a crash loop: the first is a restart like any other. */
export const crashLoopWhileDown = 2
/** A release in a crash loop counts as crashing until its newest instance has run this long. */
export const settledAfterMs = 60_000
