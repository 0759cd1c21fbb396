/** Digest fields of the bytes sent (RFC 9530 §2): wrong for a part of the content or after compression. */
export const contentDigests: ReadonlySet<string> = new Set(['content-digest', 'content-md5'])

/** Also digests of the representation (RFC 9530 §3), which includes the content coding: all are wrong after compression. */
export const digests: ReadonlySet<string> = new Set([...contentDigests, 'repr-digest', 'digest'])
