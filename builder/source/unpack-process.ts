import { setPriority } from 'node:os'
import type { Writable } from 'node:stream'
import { z } from 'zod'
import { AppError, type ErrorCode, errorStatus } from '@/shared/errors'
import { baseEnv, killGroup, start } from '@/shared/node/exec'
import type { UnpackedTree } from './archive-writer'
import type { SourceLimits } from './limits'

/** The last line of the process's output. */
export const unpackAnswer = z.union([
  z.object({
    tree: z.object({
      treeId: z.string(),
      sizeBytes: z.number(),
      fileCount: z.number(),
      pointers: z.object({ count: z.number(), sizeBytes: z.number(), names: z.array(z.string()) }),
    }),
  }),
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      details: z.object({ step: z.string().optional(), nextAction: z.string().optional() }).optional(),
      syscall: z.string().optional(),
    }),
  }),
])
export type UnpackAnswer = z.infer<typeof unpackAnswer>

/** Maximum archives unpacked at the same time. */
const atOnce = 2
const heapMegabytes = 384
const lowPriority = 10
const maxAnswerBytes = 64 * 1024

let running = 0
const waiting: (() => void)[] = []

/**
 * Unpacks with `unpackerFile` (bundled builder/source/unpacker.ts) in a process with low priority and bounded memory, which an abort kills.
 * @throws AppError ERR_SOURCE that names the entry
 */
export async function unpackInProcess(
  unpackerFile: string,
  stored: AsyncIterable<Uint8Array>,
  options: { directory: string; limits: SourceLimits },
  signal: AbortSignal,
): Promise<UnpackedTree> {
  if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
  running += 1
  try {
    signal.throwIfAborted()
    return await runUnpacker(unpackerFile, stored, options, signal)
  } finally {
    running -= 1
    waiting.shift()?.()
  }
}

async function runUnpacker(
  unpackerFile: string,
  stored: AsyncIterable<Uint8Array>,
  { directory, limits }: { directory: string; limits: SourceLimits },
  signal: AbortSignal,
): Promise<UnpackedTree> {
  const argv = [process.execPath, `--max-old-space-size=${heapMegabytes}`, unpackerFile, JSON.stringify({ directory, limits })] as const
  const env = { ...baseEnv } as unknown as NodeJS.ProcessEnv
  const child = start(argv, { env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject))
  ended.catch(() => {})
  const kill = () => void (child.pid && killGroup(child.pid, 'SIGKILL'))
  signal.addEventListener('abort', kill, { once: true })
  try {
    if (child.pid) lowerPriority(child.pid)
    const { stdin, stdout } = child
    if (!stdin || !stdout) throw new AppError('ERR_INTERNAL', 'the unpacking process has no pipes')
    const fed = feed(stored, stdin)
    // An incomplete source must not look like a complete archive.
    fed.catch(kill)
    let text = ''
    for await (const chunk of stdout) if (text.length < maxAnswerBytes) text += String(chunk)
    const code = await ended
    signal.throwIfAborted()
    await fed
    return treeOf(text, code)
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
  }
}

/** Writes the archive to the process. Returns early when the process stops reading: its result has the reason. */
async function feed(source: AsyncIterable<Uint8Array>, input: Writable): Promise<void> {
  const closed = new Promise<void>((resolve) => input.once('close', resolve))
  input.on('error', () => {})
  for await (const chunk of source) {
    if (input.destroyed) return
    if (!input.write(chunk)) await Promise.race([new Promise<void>((resolve) => input.once('drain', resolve)), closed])
  }
  input.end()
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, lowPriority)
  } catch {
    // The process has ended.
  }
}

function treeOf(text: string, code: number | null): UnpackedTree {
  const answer = unpackAnswer.safeParse(parseJson(text))
  if (!answer.success)
    throw new AppError('ERR_SOURCE', `The archive could not be unpacked: the process that does it ended with code ${code ?? 'none'}.`, {
      step: 'source',
      nextAction: 'Pack the folder again with fewer and smaller files, and deploy again.',
    })
  if ('tree' in answer.data) return answer.data.tree
  const { code: name, message, details, syscall } = answer.data.error
  if (name in errorStatus) throw new AppError(name as ErrorCode, message, details as { step?: string; nextAction?: string } | undefined)
  throw Object.assign(new Error(message), { code: name, syscall })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
