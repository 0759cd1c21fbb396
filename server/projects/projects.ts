import type { z } from 'zod'
import type { ClearedCacheView, InspectionView, ProjectView, projectInput, projectPatch } from '@/shared/views'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { clearBuildCache } from './clear-build-cache'
import { createProject } from './create'
import type { ProjectDeps } from './deps'
import { inspectRepository } from './inspect'
import { getProject, listProjects, pageOfProjects } from './read'
import { removeProject } from './remove'
import { updateProject } from './update'

export interface Projects {
  list(actor: Actor): Promise<ProjectView[]>
  /** Newest first. @throws ERR_INVALID_INPUT when the cursor's row is gone */
  page(actor: Actor, page: Page): Promise<{ items: ProjectView[]; nextCursor: string | null }>
  get(actor: Actor, idOrSlug: string): Promise<ProjectView>
  create(actor: Actor, input: z.output<typeof projectInput>): Promise<ProjectView>
  update(actor: Actor, projectId: string, patch: z.output<typeof projectPatch>): Promise<ProjectView>
  /** Deletes the project with its instances, routes and artifacts. `confirmName` must equal the project's name. */
  remove(actor: Actor, projectId: string, confirmName: string): Promise<void>
  /** Clears the build cache. @throws ERR_CONFLICT while a build is running */
  clearBuildCache(actor: Actor, project: string): Promise<ClearedCacheView>
  inspect(
    actor: Actor,
    input: { repository: string; branch?: string | null | undefined; rootDirectory?: string | null | undefined },
    signal?: AbortSignal,
  ): Promise<InspectionView>
}

export function createProjects(deps: ProjectDeps): Projects {
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
