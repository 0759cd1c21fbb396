import { constants } from 'node:os'
import type Docker from 'dockerode'
import { cacheDirectory, defaultCacheBytes, defaultScratchBytes } from '@/shared/release'
import type { InstanceSpec, ObservedInstance } from '../driver'
import { instanceEnvironment } from '../environment'
import { ownerLabels, ownerOfLabels, roleLabel } from '../owner'

const zeroDate = '0001-01-01T00:00:00Z'

export function containerName(owner: InstanceSpec['owner']): string {
  return `sy-${owner.projectSlug}-${owner.slot}-${owner.instanceId}`
}

export interface WritableSizes {
  /** Size of `/tmp`. null: half of the instance's memory. */
  scratchBytes?: number | null
  cacheBytes?: number
}

const tmpfs = (mode: number, bytes: number) => `rw,exec,nosuid,nodev,mode=${mode},size=${Math.floor(bytes)}`

/** Options of a container with minimal privileges. */
export function containerOptions(spec: InstanceSpec, network: string, cores: number, sizes: WritableSizes = {}): Docker.ContainerCreateOptions {
  const { owner, artifact, limits } = spec
  const env = { HOME: '/tmp', ...instanceEnvironment(spec, { host: '0.0.0.0', port: artifact.port }) }
  return {
    name: containerName(owner),
    Image: artifact.digest,
    // With an entrypoint, the engine ignores the command of the image.
    ...(artifact.start.argv.length > 0 ? { Entrypoint: artifact.start.argv, Cmd: [] } : {}),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    User: '1000:1000',
    Labels: { ...ownerLabels(owner), [roleLabel]: 'instance', 'switchyard.port': String(artifact.port) },
    HostConfig: {
      NetworkMode: network,
      ReadonlyRootfs: true,
      Tmpfs: {
        '/tmp': tmpfs(1777, sizes.scratchBytes ?? defaultScratchBytes(limits)),
        // Images built from a Dockerfile have no cache directory.
        ...(artifact.framework === 'dockerfile' ? {} : { [`/app/${cacheDirectory}`]: tmpfs(1777, sizes.cacheBytes ?? defaultCacheBytes) }),
      },
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: limits.pids,
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      NanoCpus: Math.round(Math.min(limits.cpus, cores) * 1e9),
      // The init process reaps zombies and forwards SIGTERM.
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
      // The reconciler restarts instances, counts the restarts and reports them.
      RestartPolicy: { Name: 'no' },
    },
  }
}

/** Converts the engine's description of a container. null: not an instance of this installation. */
export function observe(container: Docker.ContainerInspectInfo, heapExhausted: boolean): ObservedInstance | null {
  const labels = container.Config.Labels ?? {}
  const owner = ownerOfLabels(labels)
  if (!owner) return null
  const { State } = container
  const alive = State.Running || State.Paused || State.Status === 'restarting'
  const ip = Object.values(container.NetworkSettings.Networks ?? {})[0]?.IPAddress
  const started = State.StartedAt && State.StartedAt !== zeroDate ? new Date(State.StartedAt) : null
  return {
    owner,
    state: State.Paused ? 'sleeping' : alive ? 'running' : 'exited',
    address: alive && ip ? { host: ip, port: Number(labels['switchyard.port']) } : null,
    startedAt: started,
    exit: alive ? null : exitOf(State, started !== null, heapExhausted),
  }
}

function exitOf(state: Docker.ContainerInspectInfo['State'], ran: boolean, heapExhausted: boolean): ObservedInstance['exit'] {
  if (!ran) return { code: null, signal: null, outOfMemory: false }
  return { code: state.ExitCode, signal: signalOf(state.ExitCode), outOfMemory: state.OOMKilled || heapExhausted }
}

/** Shells and init processes report death by signal n as exit code 128 + n. */
function signalOf(code: number): string | null {
  if (code <= 128) return null
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] ?? null
}
