import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect } from '@nats-io/transport-node'
import { freePorts } from './ports'
import { until } from './processes'

const binary = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'].map((folder) => path.join(folder, 'nats-server')).find(existsSync)

/** Whether Debian's nats-server is installed: node scripts/system-packages.mjs nats-server */
export const hasNatsServer = binary !== undefined

export interface NatsServer {
  url: string
  /** After `kill`: on the same port, with what it has stored. */
  start(): Promise<void>
  kill(): Promise<void>
  close(): Promise<void>
}

/** A real nats-server with JetStream on a free port of the loopback. */
export async function startNatsServer(): Promise<NatsServer> {
  const home = await mkdtemp(path.join(tmpdir(), 'sy-nats-'))
  const [port] = await freePorts(1)
  const url = `nats://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  const answers = () =>
    connect({ servers: url, reconnect: false }).then(
      (connection) => connection.close().then(() => true),
      () => false,
    )
  const start = async () => {
    if (!binary) throw new Error('nats-server is not installed')
    child = spawn(binary, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', home], { stdio: 'ignore' })
    await until('nats-server answers', 20_000, answers)
  }
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child?.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    url,
    start,
    kill,
    async close() {
      await kill()
      await rm(home, { recursive: true, force: true })
    },
  }
}
