/** Digests of the bytes that are sent (RFC 9530 §2): of a part, or once coded, they are others. */
export const contentDigests: ReadonlySet<string> = new Set(['content-digest', 'content-md5'])

/** These, and digests of the representation (RFC 9530 §3), which the coding belongs to: not true any more once coded. */
export const digests: ReadonlySet<string> = new Set([...contentDigests, 'repr-digest', 'digest'])
