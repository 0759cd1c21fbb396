import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import net from 'node:net'

/** USER_HZ of Linux: ticks of /proc/PID/stat in a second. */
const ticksPerSecond = 100

export interface Running {
  /** Processes whose CPU time counts. */
  pids(): number[]
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts a program on one core, its output kept for the error message. */
export function startOn(
  core: number,
  argv: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Running & { child: ChildProcess; output(): string } {
  const child = spawn('taskset', ['-c', String(core), ...argv], { ...options, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  children.add(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4000)
    })
  return {
    child,
    output: () => text,
    pids: () => (child.pid ? withDescendants(child.pid) : []),
    stop: () =>
      new Promise((resolve) => {
        children.delete(child)
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once('exit', () => resolve())
        for (const pid of child.pid ? withDescendants(child.pid).reverse() : []) {
          try {
            process.kill(pid, 'SIGKILL')
          } catch {
            // gone already
          }
        }
      }),
  }
}

function withDescendants(pid: number): number[] {
  try {
    const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return [pid, ...(below ? below.split(' ').flatMap((child) => withDescendants(Number(child))) : [])]
  } catch {
    return []
  }
}

/** User and system time of the processes, all threads, in seconds. */
export function cpuSeconds(pids: number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }, 0)
}

/** Resident memory of the processes in MiB, pages they share counted once for each (as `ps` shows it). */
export function residentMiB(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024, 0)
}

/** Runs a program to its end on one core. @throws Error with its output when it fails or takes too long. */
export function run(core: number, argv: string[], deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', String(core), ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
    child.once('error', reject)
    child.once('exit', (code) => {
      clearTimeout(timer)
      if (code === 0) resolve(text)
      else reject(new Error(`${argv.slice(0, 2).join(' ')} ended with ${code}:\n${text.slice(-2000)}`))
    })
  })
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve, reject) => {
          const server = net.createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Waits until something accepts connections on the port. @throws Error with what the program printed. */
export async function untilListening(port: number, who: { output(): string; child: ChildProcess }): Promise<void> {
  const end = Date.now() + 20_000
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (who.child.exitCode !== null || Date.now() > end) throw new Error(`nothing listens on ${port}:\n${who.output()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
