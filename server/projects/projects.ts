import type { Platform } from '../platform'
import { clearBuildCache } from './clear-build-cache'
import { createProject } from './create'
import type { ProjectDeps } from './deps'
import { inspectRepository } from './inspect'
import { getProject, listProjects, pageOfProjects } from './read'
import { removeProject } from './remove'
import { updateProject } from './update'

export function createProjects(deps: ProjectDeps): Platform['projects'] {
  return {
    list: (actor) => listProjects(deps, actor),
    page: (actor, page) => pageOfProjects(deps, actor, page),
    get: (actor, idOrSlug) => getProject(deps, actor, idOrSlug),
    create: (actor, input) => createProject(deps, actor, input),
    update: (actor, projectId, patch) => updateProject(deps, actor, projectId, patch),
    remove: (actor, projectId, confirmName) => removeProject(deps, actor, projectId, confirmName),
    clearBuildCache: (actor, project) => clearBuildCache(deps, actor, project),
    inspect: (actor, input, signal) => inspectRepository(deps, actor, input, signal),
  }
}
