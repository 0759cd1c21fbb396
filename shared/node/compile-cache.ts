import { flushCompileCache, getCompileCacheDir } from 'node:module'

/**
 * Writes compiled code to the cache directory of NODE_COMPILE_CACHE, for the next start. Node does this only at an orderly exit, but a killed
 * process restarts soonest. Writes nothing if the cache is already complete.
 */
export function keepCompiledCode(): void {
  if (getCompileCacheDir()) flushCompileCache()
}
