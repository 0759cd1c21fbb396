import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '@/shared/node/atomic-file'

/** Chain and key of one certificate, in PEM. */
export interface KeyPair {
  id: string
  chainPem: string
  keyPem: string
}

/** First bytes of a sealed file; the digit is the version of what follows: 12 bytes of nonce, 16 of tag, the rest AES-256-GCM. */
const magic = Buffer.from('SYCERT1\n')
const nonceBytes = 12
const tagBytes = 16

/** Seals a pair; its id is bound to it. */
export function seal(pair: KeyPair, key: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(pair.id))
  const sealed = Buffer.concat([cipher.update(JSON.stringify([pair.chainPem, pair.keyPem]), 'utf8'), cipher.final()])
  return Buffer.concat([magic, nonce, cipher.getAuthTag(), sealed])
}

/** The pair that was sealed under `id`, or null when these bytes are anything else. */
export function unseal(bytes: Buffer, id: string, key: Buffer): KeyPair | null {
  const body = magic.length + nonceBytes + tagBytes
  if (bytes.length < body || !bytes.subarray(0, magic.length).equals(magic)) return null
  try {
    const nonce = bytes.subarray(magic.length, magic.length + nonceBytes)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(id)).setAuthTag(bytes.subarray(body - tagBytes, body))
    const [chainPem, keyPem] = JSON.parse(Buffer.concat([decipher.update(bytes.subarray(body)), decipher.final()]).toString('utf8'))
    return { id, chainPem, keyPem }
  } catch {
    return null
  }
}

/** Certificates on disk, one file each under the digest of its id: a file that is cut, changed or of another key is as none. */
export class SealedStore {
  readonly #directory: string
  readonly #key: Buffer
  /** Names of the files there are, as far as this worker knows. */
  readonly #files: Set<string>

  /** Reads the names of what is there, never the content: boot does not wait for ten thousand files. */
  constructor(directory: string, key: Buffer) {
    this.#directory = directory
    this.#key = key
    this.#files = new Set(namesIn(directory))
  }

  /** Whether there is a file; what is in it shows only when it is loaded. */
  has(id: string): boolean {
    return this.#files.has(nameOf(id))
  }

  /** null when there is none, or when it is damaged: then the file is removed, and `has` says so. */
  async load(id: string): Promise<KeyPair | null> {
    const name = nameOf(id)
    const file = path.join(this.#directory, name)
    const bytes = await readFile(file).catch(() => null)
    const pair = bytes && unseal(bytes, id, this.#key)
    if (pair) this.#files.add(name)
    else {
      this.#files.delete(name)
      if (bytes) await rm(file, { force: true }).catch(() => {})
    }
    return pair
  }

  /** @throws on a full or read-only disk: what was there stays. */
  async save(pair: KeyPair): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const name = nameOf(pair.id)
    await writeFileAtomic(path.join(this.#directory, name), seal(pair, this.#key))
    this.#files.add(name)
  }

  /** Removes files of none of `ids` that were written before `beforeMs`, leftovers of interrupted writes among them. */
  async sweep(ids: Iterable<string>, beforeMs: number): Promise<number> {
    const wanted = new Set(Array.from(ids, nameOf))
    let removed = 0
    for (const name of namesIn(this.#directory, true)) {
      if (wanted.has(name)) continue
      const file = path.join(this.#directory, name)
      const written = await stat(file).catch(() => null)
      if (!written || written.mtimeMs >= beforeMs) continue
      await rm(file, { force: true }).catch(() => {})
      this.#files.delete(name)
      removed++
    }
    return removed
  }
}

const nameOf = (id: string) => hash('sha256', id)

function namesIn(directory: string, leftovers = false): string[] {
  try {
    return readdirSync(directory).filter((name) => (leftovers ? /^[0-9a-f]{64}(\.|$)/ : /^[0-9a-f]{64}$/).test(name))
  } catch {
    return []
  }
}
