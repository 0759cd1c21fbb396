/** Content of a file: in memory, or read from disk for each answer (`first` and `last` inclusive). */
export type Bytes = { memory: Buffer } | { size: number; read(first: number, last: number): NodeJS.ReadableStream }
