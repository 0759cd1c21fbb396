/** Page size of lists. */
export const pageSize = 25
