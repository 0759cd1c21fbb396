import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exec } from '@/shared/node/exec'

const script = fileURLToPath(new URL('../scripts/dockerd.mjs', import.meta.url))
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sy-own-engine-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** In a network and a /run of its own: an engine of this machine is neither found nor harmed. */
const inOwnNetwork = `set -e
ip link set lo up
mount -t tmpfs tmpfs /run
state() { iptables -S; iptables -t nat -S; ip -o link show type bridge; }
state >/dev/null
state >"$1/before"
"$2" "$3" start "$1/engine" >/dev/null
docker -H "unix://$1/engine/docker.sock" network create left >/dev/null
kill -9 "$(cat "$1/engine/docker.pid")"
"$2" "$3" start "$1/engine" >/dev/null
kill -9 "$(cat "$1/engine/docker.pid")"
"$2" "$3" stop "$1/engine"
state >"$1/after"
diff "$1/before" "$1/after"
if [ -e "$1/engine" ]; then echo "its directory is left"; exit 1; fi
if pgrep -f "$1/engine"; then echo "processes are left"; exit 1; fi
`

test.skipIf(process.getuid?.() !== 0)(
  'an engine of the tests that was killed twice leaves firewall, bridges and processes as they were',
  async () => {
    const argv = [
      'unshare',
      '--net',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      inOwnNetwork,
      'sh',
      directory,
      process.execPath,
      script,
    ] as const
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
    const result = await exec([...argv], { deadlineMs: 100_000, env })
    expect({ code: result.code, output: result.stdout + result.stderr }).toEqual({ code: 0, output: '' })
  },
)
