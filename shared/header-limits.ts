/** Bytes of a request head that the routers take, unless `EDGE_MAX_HEADER_BYTES` says otherwise. */
export const defaultMaxHeaderBytes = 32_768
