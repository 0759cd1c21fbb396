import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Secrets of the start leave the environment: of a process it can be read in /proc for as long as it lives, by its own user and by all
 * that it starts. The supervisor replaces itself by one without them and gives them to the control process over its channel.
 */

type Values = Record<string, string>

/** Settings that open something. */
export const secretNames = [
  'SWITCHYARD_BOOTSTRAP_PASSWORD',
  'SWITCHYARD_BOOTSTRAP_API_KEY',
  'DATABASE_URL',
  'ACME_EAB_HMAC_KEY',
  'ACME_FALLBACK_EAB_HMAC_KEY',
] as const
const isSecret = (name: string): boolean => (secretNames as readonly string[]).includes(name)

/** In the environment of a process that gets its secrets otherwise: the key of a file that is removed by then, or `channel`. */
const handedOver = 'SWITCHYARD_HANDED_OVER'

// Settings of the routers, of Node and of the system. SWITCHYARD_TEST_*: tests find by them the processes they have started.
const routerSetting = /^(EDGE_|ROUTER_|NODE_|LC_|SSL_CERT_|SWITCHYARD_TEST_)/
const routerSettings = new Set(['SWITCHYARD_HOME', 'TRUSTED_PROXIES', 'PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'])

/** What a router is told of an environment: its settings, and nothing that happens to lie beside them. */
export function routerEnvironment(environment: Readonly<Values>): Values {
  return pick(environment, (name) => routerSettings.has(name) || routerSetting.test(name))
}

function withoutSecrets(environment: Readonly<Values>): Values {
  return pick(environment, (name) => !isSecret(name) && name !== handedOver)
}

const pick = (environment: Readonly<Values>, keep: (name: string) => boolean): Values =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => keep(name)))

/** Sealed. Read once, by the process of the same number that follows. */
const fileOf = (home: string): string => path.join(home, 'run', `start-${process.pid}`)

/** Secrets that this process got in place of its environment; null: it has them in its environment, or there are none. */
export async function takeSecrets(home: string, environment: Readonly<Values>): Promise<Values | null> {
  const key = environment[handedOver]
  if (!key) return null
  const file = fileOf(home)
  const box = await readFile(file)
  await rm(file)
  const opening = createDecipheriv('aes-256-gcm', Buffer.from(key, 'base64'), box.subarray(0, 12)).setAuthTag(box.subarray(12, 28))
  return JSON.parse(Buffer.concat([opening.update(box.subarray(28)), opening.final()]).toString('utf8')) as Values
}

/** Starts this program anew in its own place, without the secrets of its environment. Returns when there is nothing to hide. */
export async function leaveSecrets(home: string, environment: Readonly<Values>): Promise<void> {
  // It has been replaced already: secrets that came back, as by --env-file among the flags of Node, would come back each time.
  if (environment[handedOver]) return
  const secrets = pick(environment, isSecret)
  // A channel to a parent would not outlive the exchange; Node on other systems than Linux may have none.
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

/** For the control process: its environment, and the message that completes it. */
export function controlStart(environment: Readonly<Values>): { environment: Values; message: { type: 'secrets'; values: Values } } {
  return {
    environment: { ...withoutSecrets(environment), [handedOver]: 'channel' },
    message: { type: 'secrets', values: pick(environment, isSecret) },
  }
}

/** The whole environment of the control process, wherever its parts came from. Called before anything else listens to the channel. */
export async function completeEnvironment(environment: Readonly<Values>): Promise<Values> {
  if (environment[handedOver] !== 'channel') return { ...environment }
  const values = await new Promise<Values>((resolve, reject) => {
    const onLost = () => reject(new Error('the supervisor ended before it handed over the settings'))
    // Without them another database than the operator's would be taken.
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
