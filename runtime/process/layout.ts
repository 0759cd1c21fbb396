import path from 'node:path'
import { assertId } from '../owner'

/** Paths of the process driver below the platform's home. Ids are checked before they become names. */
export function layout(home: string) {
  const project = (projectId: string) => path.join(home, 'projects', assertId('projectId', projectId))
  const instance = (instanceId: string) => path.join(home, 'instances', assertId('instanceId', instanceId))
  return {
    instances: path.join(home, 'instances'),
    ports: path.join(home, 'run', 'ports'),
    users: path.join(home, 'run', 'users'),
    /** Directory for testing whether file systems can be mounted. */
    probe: path.join(home, 'run', 'mount-probe'),
    projects: path.join(home, 'projects'),
    project,
    releases: (projectId: string) => path.join(project(projectId), 'releases'),
    current: (projectId: string) => path.join(project(projectId), 'current'),
    instance,
    record: (instanceId: string) => path.join(instance(instanceId), 'instance.json'),
    /** Private and writable, removed with the instance: HOME and TMPDIR. */
    scratch: (instanceId: string) => path.join(instance(instanceId), 'home'),
    logs: (instanceId: string) => path.join(instance(instanceId), 'logs'),
  }
}
export type Layout = ReturnType<typeof layout>

export const isRoot = (): boolean => process.getuid?.() === 0

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
