/** Crashes within this window count towards the restart backoff and the health shown to users. */
export const crashWindowMs = 10 * 60_000
/** This many crashes within the window are a crash loop, even while a new instance runs briefly. */
export const crashLoopAfter = 4
/** Without a running instance, this many crashes within the window are a crash loop; the first crash is an ordinary restart. */
export const crashLoopWhileDown = 2
/** A crash loop is over when the newest instance has run this long. */
export const settledAfterMs = 60_000
