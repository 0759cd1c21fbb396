/**
 * How Node runs a router. It makes little garbage but never stops: its young generation need not start small, and 10,000 idle connections
 * must not let it grow. There is one router a core, so no core is free to help collecting: four threads that do take the one there is in
 * lumps of 18 ms.
 */
export const routerFlags = ['--min-semi-space-size=4', '--max-semi-space-size=4', '--no-parallel-scavenge', '--v8-pool-size=1']

/**
 * How Node runs the control process, which is idle most of the time. Source maps are left out: Node keeps the maps of every loaded package
 * in memory, and the bundle is not minified, so stacks name functions all the same. The young generation would grow to 128 MiB while an
 * installation starts, and is not given back.
 */
export const controlFlags = ['--max-semi-space-size=4', '--v8-pool-size=1']

/** glibc keeps up to eight arenas a core, each with free memory of its own. A person's own setting goes first. */
export const controlEnv = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' }
