/**
 * Node options of a router. A router allocates little but constantly: a fixed young generation of 4 MiB avoids growth with 10,000 idle
 * connections. With one router per core there is no free core for parallel garbage collection: four collector threads would share the
 * router's own core and pause it for up to 18 ms.
 */
export const routerFlags = ['--min-semi-space-size=4', '--max-semi-space-size=4', '--no-parallel-scavenge', '--v8-pool-size=1']

/**
 * Node options of the control process, which is idle most of the time. No source maps: Node keeps the maps of every loaded package in
 * memory, and the unminified bundle already gives stack traces with function names. Unbounded, the young generation would grow to 128 MiB
 * during start-up, and V8 does not return that memory.
 */
export const controlFlags = ['--max-semi-space-size=4', '--v8-pool-size=1']

/** glibc keeps up to eight malloc arenas per core, each with its own free memory. A value in the operator's environment takes precedence. */
export const controlEnv = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' }
