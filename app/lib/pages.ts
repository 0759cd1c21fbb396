/** Rows of a list before somebody asks for more. */
export const pageSize = 25
