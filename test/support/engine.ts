import Docker from 'dockerode'

/** The runtime's label, and the builder's. */
const projectLabels = ['switchyard.projectId', 'switchyard.project']

/** Removes what the docker driver and the builder made for these projects: a stopped platform leaves its apps running on purpose. */
export async function removeProjectObjects(projectIds: readonly string[]): Promise<void> {
  if (projectIds.length === 0) return
  const docker = new Docker({ socketPath: (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', ''), timeout: 60_000 })
  const filters = projectIds.flatMap((id) => projectLabels.map((name) => ({ label: [`${name}=${id}`] })))
  // Containers before the networks and images they use.
  for (const filter of filters)
    for (const { Id } of await docker.listContainers({ all: true, filters: filter }))
      await gone(docker.getContainer(Id).remove({ force: true, v: true }))
  for (const filter of filters) {
    for (const { Id } of await docker.listNetworks({ filters: filter })) await gone(docker.getNetwork(Id).remove())
    for (const { Id } of await docker.listImages({ filters: filter })) await gone(docker.getImage(Id).remove({ force: true }))
    const { Volumes: volumes } = await docker.listVolumes({ filters: JSON.stringify(filter) })
    for (const { Name } of volumes ?? []) await gone(docker.getVolume(Name).remove({ force: true }))
  }
}

/** What carries both labels is met twice. */
async function gone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error
  }
}
