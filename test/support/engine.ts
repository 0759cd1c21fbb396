import Docker from 'dockerode'

const projectLabel = 'switchyard.projectId'

export interface RemovedObjects {
  containers: number
  networks: number
  images: number
}

/** Removes what the docker driver and the builder made for these projects: a stopped platform leaves its apps running on purpose. */
export async function removeProjectObjects(projectIds: readonly string[]): Promise<RemovedObjects> {
  const removed = { containers: 0, networks: 0, images: 0 }
  if (projectIds.length === 0) return removed
  const docker = new Docker({ socketPath: (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', ''), timeout: 60_000 })
  for (const projectId of projectIds) {
    const filters = { label: [`${projectLabel}=${projectId}`] }
    for (const { Id } of await docker.listContainers({ all: true, filters })) {
      await docker.getContainer(Id).remove({ force: true, v: true })
      removed.containers += 1
    }
    for (const { Id } of await docker.listNetworks({ filters })) {
      await docker.getNetwork(Id).remove()
      removed.networks += 1
    }
    for (const { Id } of await docker.listImages({ filters })) {
      await docker.getImage(Id).remove({ force: true })
      removed.images += 1
    }
    const { Volumes: volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) })
    for (const { Name } of volumes ?? []) await docker.getVolume(Name).remove({ force: true })
  }
  return removed
}
