import type { Observer } from '../../observe/observer'

/** Notes nothing: for engines under test. */
export const silentObserver: Observer = { end: () => {}, close: async () => {} }
