import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { start } from '@/shared/node/exec'

/** The first start of the embedded Postgres takes seconds, on a loaded machine much longer. */
const waitDeadlineMs = 120_000

/**
 * Runs `work` while no other process holds the lock `name` of this home. The kernel releases the lock when its holder dies.
 * Node has no flock(2): the lock is held by a child, `flock FILE cat`, which ends with its standard input.
 * @throws AppError ERR_DEADLINE when another process keeps the lock for two minutes, ERR_UNAVAILABLE without util-linux's flock.
 */
export async function withHomeLock<T>(home: string, name: string, work: () => Promise<T>): Promise<T> {
  const directory = path.join(home, 'run')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const release = await acquire(path.join(directory, `${name}.lock`))
  try {
    return await work()
  } finally {
    await release()
  }
}

async function acquire(file: string): Promise<() => Promise<void>> {
  const holder = start(['flock', '--exclusive', file, 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const { stdin, stdout } = holder
  if (!stdin || !stdout) throw new Error('flock was started without pipes')
  const ended = new Promise<void>((resolve) => {
    holder.once('exit', () => resolve())
    holder.once('error', () => resolve())
  })
  // `flock` starts `cat` only once it holds the lock, so the echoed line means "locked". EPIPE from a failed start is reported below.
  stdin.on('error', () => {})
  stdin.write('held\n')
  const held = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), waitDeadlineMs)
    const settle = (value: boolean) => {
      clearTimeout(timer)
      resolve(value)
    }
    stdout.once('data', () => settle(true))
    void ended.then(() => settle(false))
  })
  if (held)
    return () => {
      stdin.end()
      return ended
    }
  const failed = holder.exitCode !== null || holder.pid === undefined
  holder.kill('SIGKILL')
  throw failed
    ? new AppError('ERR_UNAVAILABLE', `${file} cannot be locked: flock failed`, { nextAction: 'Install util-linux, which has flock.' })
    : new AppError('ERR_DEADLINE', `another process of this installation has held ${file} for two minutes`, {
        nextAction: `Look for it with: fuser -v ${file}`,
      })
}
