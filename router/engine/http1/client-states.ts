/** What an HTTP/1 connection of a client is at; in this order, so that `>= closing` is over. */
export const idle = 0
/** A request's body is coming. */
export const receiving = 1
/** The request is whole, its answer is not. */
export const waiting = 2
/** Answered before its body ended: the rest is dropped. */
export const dropping = 3
export const tunnel = 4
/** Nothing more is sent; the client gets a moment to read and close. */
export const closing = 5
export const dead = 6

/** Pipelined bytes kept while a request is under way; beyond them reading stops. */
export const mostPipelined = 65_536
/** How long a client that said its last byte gets to receive its answer before it counts as gone: one cannot be told from the other. */
export const halfCloseGraceMs = 1_000
