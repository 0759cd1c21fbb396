import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Removes secrets from the process environment: /proc/<pid>/environ stays readable to the same user, including child processes, for the
 * life of the process. The supervisor re-executes itself without the secrets and sends them to the control process over the IPC channel.
 */

type Values = Record<string, string>

/** Environment variables that hold a credential. */
export const secretNames = [
  'SWITCHYARD_BOOTSTRAP_PASSWORD',
  'SWITCHYARD_BOOTSTRAP_API_KEY',
  'DATABASE_URL',
  'NATS_URL',
  'ACME_EAB_HMAC_KEY',
  'ACME_FALLBACK_EAB_HMAC_KEY',
] as const
const isSecret = (name: string): boolean => (secretNames as readonly string[]).includes(name)

/** Where a re-executed process finds its secrets: the base64 key of a sealed file, deleted on first read, or `channel` for the IPC channel. */
const handedOver = 'SWITCHYARD_HANDED_OVER'

// Variables of the router, Node and the system. SWITCHYARD_TEST_*: tests identify the processes they started by these variables.
const routerSetting = /^(EDGE_|ROUTER_|NODE_|LC_|SSL_CERT_|SWITCHYARD_TEST_)/
const routerSettings = new Set(['SWITCHYARD_HOME', 'TRUSTED_PROXIES', 'PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'])

/** Environment of a router: an allow-list, so that unrelated variables never reach it. */
export function routerEnvironment(environment: Readonly<Values>): Values {
  return pick(environment, (name) => routerSettings.has(name) || routerSetting.test(name))
}

function withoutSecrets(environment: Readonly<Values>): Values {
  return pick(environment, (name) => !isSecret(name) && name !== handedOver)
}

const pick = (environment: Readonly<Values>, keep: (name: string) => boolean): Values =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => keep(name)))

/** Encrypted file with the secrets. execve keeps the pid, so the re-executed process finds the file by its own pid. */
const fileOf = (home: string): string => path.join(home, 'run', `start-${process.pid}`)

/** Reads and deletes the sealed file. null: not re-executed; secrets, if any, are in the environment. @throws when the file is missing or altered */
export async function takeSecrets(home: string, environment: Readonly<Values>): Promise<Values | null> {
  const key = environment[handedOver]
  if (!key) return null
  const file = fileOf(home)
  const box = await readFile(file)
  await rm(file)
  const opening = createDecipheriv('aes-256-gcm', Buffer.from(key, 'base64'), box.subarray(0, 12)).setAuthTag(box.subarray(12, 28))
  return JSON.parse(Buffer.concat([opening.update(box.subarray(28)), opening.final()]).toString('utf8')) as Values
}

/** Removes the sealed files of processes that were killed before they read them: their keys died with them. */
async function removeLeftFiles(home: string): Promise<void> {
  const run = path.join(home, 'run')
  for (const name of await readdir(run).catch(() => [])) {
    const pid = Number(/^start-([1-9]\d*)$/.exec(name)?.[1] ?? 0)
    if (pid !== 0 && !isRunning(pid)) await rm(path.join(run, name), { force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Re-executes this program (execve) without secrets in its environment. Returns only when already re-executed, without secrets, or without execve. */
export async function reExecWithoutSecrets(home: string, environment: Readonly<Values>): Promise<void> {
  // Already re-executed: secrets that reappear, as from --env-file among Node's flags, would reappear every time.
  if (environment[handedOver]) return
  const secrets = pick(environment, isSecret)
  await removeLeftFiles(home)
  // execve would close an IPC channel to a parent; Node may lack `process.execve` on systems other than Linux.
  if (Object.keys(secrets).length === 0 || process.channel || !process.execve) return
  const [key, iv] = [randomBytes(32), randomBytes(12)]
  const sealing = createCipheriv('aes-256-gcm', key, iv)
  const text = Buffer.concat([sealing.update(JSON.stringify(secrets), 'utf8'), sealing.final()])
  await writeFile(fileOf(home), Buffer.concat([iv, sealing.getAuthTag(), text]), { mode: 0o600 })
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...withoutSecrets(environment),
    [handedOver]: key.toString('base64'),
  } as unknown as NodeJS.ProcessEnv)
}

/** Environment of the control process, and the IPC message with its secrets. */
export function controlStart(environment: Readonly<Values>): { environment: Values; message: { type: 'secrets'; values: Values } } {
  return {
    environment: { ...withoutSecrets(environment), [handedOver]: 'channel' },
    message: { type: 'secrets', values: pick(environment, isSecret) },
  }
}

/** Merges the environment with the secrets from the IPC channel. Call before any other listener for IPC messages is added. */
export async function completeEnvironment(environment: Readonly<Values>): Promise<Values> {
  if (environment[handedOver] !== 'channel') return { ...environment }
  const values = await new Promise<Values>((resolve, reject) => {
    const onLost = () => reject(new Error('the supervisor ended before it handed over the settings'))
    // Without the secrets, the process would use another database than the operator's.
    if (!process.connected) return onLost()
    process.once('disconnect', onLost)
    const onMessage = (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'secrets' || !('values' in message)) return
      process.off('message', onMessage)
      process.off('disconnect', onLost)
      resolve(message.values as Values)
    }
    process.on('message', onMessage)
  })
  return { ...environment, ...values }
}
