import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { hasCode, type Layout } from './layout'
import { identify, type ProcessIdentity, statOf } from './proc'

/** First port for apps: below the range of outgoing connections on Linux (from 32768 on), so that no connection uses a reserved port. */
export const firstPort = 20_100
export const lastPort = 29_999

interface Claim {
  instanceId: string
  /** The process that reserved the port: while it lives and no record exists, the start is in progress. */
  by: ProcessIdentity | null
}

/**
 * Ports of apps. The file `run/ports/<port>` reserves a port; it is created atomically by `link`, so that two processes never reserve the same
 * port. A reservation is stale if both its instance and the process that made it are gone.
 */
export class Ports {
  constructor(
    private readonly paths: Layout,
    /** Whether the instance still needs its port. */
    private readonly inUse: (instanceId: string) => Promise<boolean>,
  ) {}

  async reserve(instanceId: string): Promise<number> {
    await mkdir(this.paths.ports, { recursive: true, mode: 0o700 })
    const draft = path.join(this.paths.ports, `.${randomBytes(8).toString('hex')}`)
    await writeFile(draft, JSON.stringify({ instanceId, by: await identify(process.pid) } satisfies Claim), { mode: 0o600 })
    try {
      const size = lastPort - firstPort + 1
      const begin = createHash('sha256').update(`${this.paths.ports}/${instanceId}`).digest().readUInt32BE(0) % size
      for (let step = 0; step < size; step++) {
        const port = firstPort + ((begin + step) % size)
        if (!(await this.claim(draft, port))) continue
        if (await isFree(port)) return port
        await this.release(port, instanceId)
      }
    } finally {
      await rm(draft, { force: true })
    }
    throw new AppError('ERR_UNAVAILABLE', `Every port from ${firstPort} to ${lastPort} is taken`, {
      nextAction: 'Delete projects that nobody needs.',
    })
  }

  /** Releases a port if `instanceId` still holds it. */
  async release(port: number, instanceId: string): Promise<void> {
    if ((await this.read(port))?.instanceId === instanceId) await rm(this.file(port), { force: true })
  }

  /** Releases the ports of instances that are gone. */
  async sweep(): Promise<void> {
    const names = await readdir(this.paths.ports).catch(() => [])
    for (const name of names) if (/^\d+$/.test(name)) await this.reclaim(Number(name))
  }

  private async claim(draft: string, port: number): Promise<boolean> {
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        await link(draft, this.file(port))
        return true
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error
      }
      if (!(await this.reclaim(port))) return false
    }
    return false
  }

  /** Removes a stale reservation; true: removed. */
  private async reclaim(port: number): Promise<boolean> {
    const claim = await this.read(port)
    if (claim && !(await this.isStale(claim))) return false
    // Rename before deleting: if another process reserved the port meanwhile, its reservation is restored.
    const aside = path.join(this.paths.ports, `.${randomBytes(8).toString('hex')}`)
    try {
      await rename(this.file(port), aside)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return true
      throw error
    }
    const moved = parseClaim(await readFile(aside, 'utf8'))
    const ours = moved === null || moved.instanceId === claim?.instanceId
    if (!ours) await link(aside, this.file(port)).catch(() => {})
    await rm(aside, { force: true })
    return ours
  }

  private async isStale(claim: Claim): Promise<boolean> {
    if (await this.inUse(claim.instanceId)) return false
    return claim.by === null || (await statOf(claim.by)) === null
  }

  private async read(port: number): Promise<Claim | null> {
    return readFile(this.file(port), 'utf8').then(parseClaim, () => null)
  }

  private file(port: number): string {
    return path.join(this.paths.ports, String(port))
  }
}

function parseClaim(text: string): Claim | null {
  try {
    return JSON.parse(text) as Claim
  } catch {
    return null
  }
}

/** Whether the port is free: another program may listen on it. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
