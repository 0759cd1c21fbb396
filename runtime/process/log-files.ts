import { appendFile, chown, mkdir, open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { maxLogLineBytes } from '@/shared/logs'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import type { InstanceLogLine } from '../driver'
import { logText } from '../log-text'
import { KeyedMutex } from '../pool'

const streams = ['stdout', 'stderr'] as const
type Stream = (typeof streams)[number]
type Positions = Record<Stream, number>

/** Lengths of both files at a time: gives lines their time, and the two streams their order. */
interface Mark extends Positions {
  at: number
}

/** Bytes after which a stream is rotated; it takes at most twice as much disk space. */
export const rotateBytes = 10 * 1024 * 1024
const maxMarks = 20_000
const chunkBytes = 64 * 1024
/** Maximum bytes of an incomplete line in memory. */
const maxOpenLineBytes = maxLogLineBytes
const newline = 0x0a

/**
 * The output of an instance: `stdout` and `stderr`, written by the app itself, so that logging does not depend on our process. Positions count
 * all bytes ever written. The file starts at `base`; `<stream>.1` holds the bytes from `previous` to `base`.
 */
export class InstanceLog {
  private base: Positions = { stdout: 0, stderr: 0 }
  private previous: Positions = { stdout: 0, stderr: 0 }
  private marks: Mark[] = []
  private loaded = false
  /** Number of times that new output was found. */
  private growths = 0
  private readonly mutex = new KeyedMutex()

  constructor(
    private readonly directory: string,
    private readonly limitBytes = rotateBytes,
  ) {}

  /** Opens both files for the app, which owns them, because programs reopen /dev/stdout. */
  async create(uid: number, gid: number): Promise<{ stdout: number; stderr: number; close(): Promise<void> }> {
    await mkdir(this.directory, { recursive: true, mode: 0o711 })
    const handles = await Promise.all(streams.map((stream) => open(this.file(stream), 'a', 0o600)))
    if (process.getuid?.() === 0) await Promise.all(streams.map((stream) => chown(this.file(stream), uid, gid)))
    const [stdout, stderr] = handles
    return {
      stdout: stdout?.fd ?? -1,
      stderr: stderr?.fd ?? -1,
      close: async () => void (await Promise.all(handles.map((handle) => handle.close()))),
    }
  }

  /** Adds a line of the platform to the app's stderr. */
  async say(text: string): Promise<void> {
    await appendFile(this.file('stderr'), `${text}\n`)
  }

  /** Records new output and rotates large files. Returns how often new output was found so far. */
  tick(): Promise<number> {
    return this.mutex.run('log', async () => {
      await this.load()
      const now = await this.ends()
      const last = this.marks.at(-1)
      if (now.stdout > (last?.stdout ?? 0) || now.stderr > (last?.stderr ?? 0)) {
        const mark = { at: Date.now(), ...now }
        this.marks.push(mark)
        this.growths++
        await appendFile(this.file('marks'), formatMark(mark), { mode: 0o600 })
      }
      for (const stream of streams) if (now[stream] - this.base[stream] > this.limitBytes) await this.rotate(stream, now[stream])
      if (this.marks.length > maxMarks) await this.thin()
      return this.growths
    })
  }

  /** A reader that starts after `cursor`, or at the oldest line that is left. */
  reader(cursor?: string): LogReader {
    return new LogReader(this, parseCursor(cursor))
  }

  /** Marks after `position`. */
  async marksAfter(position: Positions): Promise<Mark[]> {
    await this.tick()
    return this.marks.filter((mark) => mark.stdout > position.stdout || mark.stderr > position.stderr)
  }

  /** Reads up to 64 KiB from `from` on; starts later if those bytes were rotated away. */
  readAt(stream: Stream, from: number, to: number): Promise<{ from: number; content: Buffer }> {
    return this.mutex.run('log', async () => {
      const start = Math.max(from, this.previous[stream])
      const old = start < this.base[stream]
      const end = Math.min(to, start + chunkBytes, old ? this.base[stream] : Number.POSITIVE_INFINITY)
      if (end <= start) return { from: start, content: Buffer.alloc(0) }
      const handle = await open(old ? this.file(`${stream}.1`) : this.file(stream), 'r')
      try {
        const content = Buffer.alloc(end - start)
        const { bytesRead } = await handle.read(content, 0, content.length, start - (old ? this.previous[stream] : this.base[stream]))
        return { from: start, content: content.subarray(0, bytesRead) }
      } finally {
        await handle.close()
      }
    })
  }

  private file(name: string): string {
    return path.join(this.directory, name)
  }

  private async ends(): Promise<Positions> {
    const size = async (stream: Stream) =>
      this.base[stream] +
      (await stat(this.file(stream)).then(
        (found) => found.size,
        () => 0,
      ))
    const [stdout, stderr] = await Promise.all([size('stdout'), size('stderr')])
    return { stdout, stderr }
  }

  /** Copies and truncates the file, because the app keeps writing to the same file. Output written between the two steps is lost. */
  private async rotate(stream: Stream, end: number): Promise<void> {
    const keep = Math.min(end - this.base[stream], this.limitBytes)
    const from = await open(this.file(stream), 'r')
    try {
      const content = Buffer.alloc(keep)
      const { bytesRead } = await from.read(content, 0, keep, end - this.base[stream] - keep)
      await writeFile(this.file(`${stream}.1.new`), content.subarray(0, bytesRead), { mode: 0o600 })
    } finally {
      await from.close()
    }
    await rename(this.file(`${stream}.1.new`), this.file(`${stream}.1`))
    await truncate(this.file(stream), 0)
    this.previous = { ...this.previous, [stream]: end - keep }
    this.base = { ...this.base, [stream]: end }
    this.marks = this.marks.filter(
      (mark, index) => index === this.marks.length - 1 || mark.stdout > this.previous.stdout || mark.stderr > this.previous.stderr,
    )
    await this.rewrite()
  }

  /** Removes every second mark of the older half: times become less precise. */
  private async thin(): Promise<void> {
    const half = this.marks.length / 2
    this.marks = this.marks.filter((_, index) => index > half || index % 2 === 1)
    await this.rewrite()
  }

  private async rewrite(): Promise<void> {
    await writeFileAtomic(
      this.file('marks'),
      `${JSON.stringify({ base: this.base, previous: this.previous })}\n${this.marks.map(formatMark).join('')}`,
    )
  }

  private async load(): Promise<void> {
    if (this.loaded) return
    const text = await readFile(this.file('marks'), 'utf8').catch(() => '')
    for (const line of text.split('\n')) {
      if (line.startsWith('{')) ({ base: this.base, previous: this.previous } = JSON.parse(line) as { base: Positions; previous: Positions })
      const [at, stdout, stderr] = line.split(' ').map(Number)
      const last = this.marks.at(-1)
      // Skip a line that a crash cut short or that a second writer interleaved: positions only grow.
      if (at === undefined || stdout === undefined || stderr === undefined || Number.isNaN(at + stdout + stderr)) continue
      if (stdout >= (last?.stdout ?? 0) && stderr >= (last?.stderr ?? 0)) this.marks.push({ at, stdout, stderr })
    }
    this.loaded = true
  }
}

const formatMark = (mark: Mark) => `${mark.at} ${mark.stdout} ${mark.stderr}\n`

function parseCursor(cursor: string | undefined): Positions {
  const [stdout, stderr] = (cursor ?? '').split('.').map(Number)
  return { stdout: Number.isSafeInteger(stdout) ? (stdout as number) : 0, stderr: Number.isSafeInteger(stderr) ? (stderr as number) : 0 }
}

export class LogReader {
  private readonly open: Record<Stream, { content: Buffer; at: number }> = {
    stdout: { content: Buffer.alloc(0), at: 0 },
    stderr: { content: Buffer.alloc(0), at: 0 },
  }
  /** Position read so far; `lineEnds` is the end of the last complete line. */
  private readonly read: Positions

  constructor(
    private readonly log: InstanceLog,
    private readonly lineEnds: Positions,
  ) {
    this.read = { ...lineEnds }
  }

  /** Complete lines since the last call. `last`: also an incomplete line, because the instance has ended. */
  async *next(last = false): AsyncIterable<InstanceLogLine> {
    for (const mark of await this.log.marksAfter(this.read)) for (const stream of streams) yield* this.upTo(stream, mark)
    if (!last) return
    for (const stream of streams) {
      const { content, at } = this.open[stream]
      if (content.length > 0) yield this.line(stream, content, content.length, at)
    }
  }

  private async *upTo(stream: Stream, mark: Mark): AsyncIterable<InstanceLogLine> {
    while (this.read[stream] < mark[stream]) {
      const { from, content } = await this.log.readAt(stream, this.read[stream], mark[stream])
      const open = this.open[stream]
      if (from > this.read[stream]) {
        // The bytes were rotated away before they were read: continue with what is left.
        open.content = Buffer.alloc(0)
        this.lineEnds[stream] = from
      }
      if (content.length === 0) {
        this.read[stream] = Math.max(from, mark[stream])
        return
      }
      this.read[stream] = from + content.length
      open.content = open.content.length === 0 ? content : Buffer.concat([open.content, content])
      open.at = mark.at
      for (;;) {
        const end = open.content.indexOf(newline)
        if (end < 0 && open.content.length <= maxOpenLineBytes) break
        if (end >= 0 && end <= maxOpenLineBytes) yield this.line(stream, open.content.subarray(0, end), end + 1, mark.at)
        else {
          const piece = wholeCharacters(open.content, maxOpenLineBytes)
          yield { ...this.line(stream, open.content.subarray(0, piece), piece, mark.at), cut: 'continued' }
        }
      }
    }
  }

  private line(stream: Stream, text: Buffer, consumed: number, at: number): InstanceLogLine {
    this.open[stream].content = this.open[stream].content.subarray(consumed)
    this.lineEnds[stream] += consumed
    return { stream, text: logText(text), at: new Date(at), cursor: `${this.lineEnds.stdout}.${this.lineEnds.stderr}` }
  }
}

/** Up to `length` bytes that end at a character boundary of UTF-8. */
function wholeCharacters(content: Buffer, length: number): number {
  for (let end = length; end > length - 4; end--) if (((content[end] ?? 0) & 0xc0) !== 0x80) return end
  return length
}
