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

/** File header with the format version; followed by a 12-byte nonce, a 16-byte tag and the AES-256-GCM ciphertext. */
const magic = Buffer.from('SYCERT1\n')
const nonceBytes = 12
const tagBytes = 16

/** Encrypts a pair; its id is authenticated with it. */
export function seal(pair: KeyPair, key: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(pair.id))
  const sealed = Buffer.concat([cipher.update(JSON.stringify([pair.chainPem, pair.keyPem]), 'utf8'), cipher.final()])
  return Buffer.concat([magic, nonce, cipher.getAuthTag(), sealed])
}

/** Decrypts the pair stored under `id`. null: the bytes are damaged or belong to another id or key. */
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

/**
 * Encrypted certificates on disk, one file per certificate, named by the digest of its id. A file that is truncated, modified or encrypted
 * with another key counts as missing.
 */
export class SealedStore {
  readonly #directory: string
  readonly #key: Buffer
  /** Names of the existing files, as far as this worker knows. */
  readonly #files: Set<string>

  /** Reads file names only, not contents: the boot must not wait for ten thousand files. */
  constructor(directory: string, key: Buffer) {
    this.#directory = directory
    this.#key = key
    this.#files = new Set(namesIn(directory))
  }

  /** Whether a file exists; its content is verified only by `load`. */
  has(id: string): boolean {
    return this.#files.has(nameOf(id))
  }

  /** null: missing or damaged. A damaged file is removed, and `has` then returns false. */
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

  /** @throws on a full or read-only disk; an existing file stays unchanged. */
  async save(pair: KeyPair): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const name = nameOf(pair.id)
    await writeFileAtomic(path.join(this.#directory, name), seal(pair, this.#key))
    this.#files.add(name)
  }

  /** Removes files that belong to none of `ids` and were written before `beforeMs`, including temporary files of interrupted writes. */
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
