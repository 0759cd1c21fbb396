import { flushCompileCache, getCompileCacheDir } from 'node:module'

/**
 * Writes what V8 compiled to the cache that NODE_COMPILE_CACHE names, for the next start. Node itself does so only at an orderly exit,
 * and a process that was killed is the one to be back soon. Writes nothing when all of it came from the cache.
 */
export function keepCompiledCode(): void {
  if (getCompileCacheDir()) flushCompileCache()
}
