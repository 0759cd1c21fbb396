/**
 * How Node runs a router. It makes little garbage but never stops: its young generation need not start small, and 10,000 idle connections
 * must not let it grow. There is one router a core, so no core is free to help collecting: four threads that do take the one there is in
 * lumps of 18 ms.
 */
export const routerFlags = ['--min-semi-space-size=4', '--max-semi-space-size=4', '--no-parallel-scavenge', '--v8-pool-size=1']
