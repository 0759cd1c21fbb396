/** Default of `EDGE_MAX_HEADER_BYTES`: maximum bytes of a request head. */
export const defaultMaxHeaderBytes = 32_768
