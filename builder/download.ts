import type { PassThrough } from 'node:stream'
import { extract, type Header } from 'tar-stream'
import { ZipFile } from 'yazl'

/** Converts a tar to a zip while streaming, without temporary files. `strip`: number of leading path components to remove. */
export function zipOfTar(tar: NodeJS.ReadableStream, strip = 0): NodeJS.ReadableStream {
  const zip = new ZipFile()
  const output = zip.outputStream as PassThrough
  const fail = (error: unknown) => output.destroy(error instanceof Error ? error : new Error(String(error)))
  zip.on('error', fail)
  const entries = extract()
  entries.on('entry', (header, content, next) => {
    const name = header.name
      .replace(/^\.?\//, '')
      .split('/')
      .slice(strip)
      .join('/')
    content.once('error', next)
    if (name === '' || !addEntry(zip, name, header, content as unknown as NodeJS.ReadableStream, next)) {
      content.once('end', () => next())
      content.resume()
    }
  })
  entries.once('finish', () => zip.end())
  entries.once('error', fail)
  tar.once('error', fail)
  // The reader has closed the stream: stop fetching.
  output.once('close', () => {
    if (!output.readableEnded) entries.destroy()
  })
  tar.pipe(entries as unknown as NodeJS.WritableStream)
  return output
}

/** Adds a tar entry; false: a zip cannot hold it. The next entry follows when this entry's bytes are read. */
function addEntry(zip: ZipFile, name: string, header: Header, content: NodeJS.ReadableStream, next: () => void): boolean {
  const options = { mtime: header.mtime, mode: header.mode }
  if (header.type === 'directory') {
    zip.addEmptyDirectory(name, { ...options, mode: 0o40755 })
    return false
  }
  if (header.type === 'symlink') {
    zip.addBuffer(Buffer.from(header.linkname), name, { ...options, mode: 0o120777 })
    return false
  }
  if (header.type !== 'file' && header.type !== 'contiguous-file') return false
  content.once('end', () => next())
  zip.addReadStream(content, name, { ...options, mode: 0o100000 | (options.mode & 0o777) })
  return true
}
