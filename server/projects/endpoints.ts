import { z } from 'zod'
import { purgeInput, purgeView } from '@/shared/purge'
import { clearedCacheView, inspectInput, inspectionView, pageInput, projectInput, projectPatch, projectView } from '@/shared/views'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const createdProject = projectView.extend({ projectId: z.string() })
export const projectList = z.object({ items: z.array(projectView), nextCursor: z.string().nullable() })

export const projectEndpoints = {
  create: endpoint({
    id: 'createProject',
    action: 'project.create',
    method: 'POST',
    path: '/projects',
    summary: 'Create a project',
    input: projectInput,
    example: { name: 'web' },
    output: createdProject,
    status: 201,
    async run({ platform, actor, input }) {
      const project = await platform.projects.create(actor, input)
      return { ...project, projectId: project.id }
    },
  }),
  page: endpoint({
    id: 'listProjects',
    action: 'project.read',
    method: 'GET',
    path: '/projects',
    summary: 'List the projects of the team, newest first',
    input: pageInput,
    output: projectList,
    run: ({ platform, actor, input }) => platform.projects.page(actor, input),
  }),
  list: endpoint({
    id: 'listAllProjects',
    action: 'project.read',
    method: 'GET',
    path: null,
    summary: 'All projects of the team, newest first',
    output: z.array(projectView),
    run: ({ platform, actor }) => platform.projects.list(actor),
  }),
  get: endpoint({
    id: 'getProject',
    action: 'project.read',
    method: 'GET',
    path: '/projects/{project}',
    summary: 'Show a project',
    input: projectPath,
    output: projectView,
    run: ({ platform, actor, input }) => platform.projects.get(actor, input.project),
  }),
  update: endpoint({
    id: 'updateProject',
    action: 'project.update',
    method: 'PATCH',
    path: '/projects/{project}',
    summary: 'Change settings; the next deployment uses them',
    input: projectPatch.extend(projectPath.shape),
    output: projectView,
    run: ({ platform, actor, input: { project, ...patch } }) => platform.projects.update(actor, project, patch),
  }),
  remove: endpoint({
    id: 'removeProject',
    action: 'project.remove',
    method: 'DELETE',
    path: '/projects/{project}',
    summary: 'Stop and remove everything of a project',
    input: projectPath.extend({ confirm: z.string().max(100).meta({ description: 'The name of the project, typed again.' }) }),
    run: ({ platform, actor, input }) => platform.projects.remove(actor, input.project, input.confirm),
  }),
  purge: endpoint({
    id: 'purgeCache',
    action: 'cache.purge',
    method: 'POST',
    path: '/projects/{project}/purge',
    summary: 'Have the routers forget the answers they keep: by tag, by path, or all',
    input: purgeInput.extend(projectPath.shape),
    output: purgeView,
    run: ({ platform, actor, input: { project, ...what } }) => platform.cache.purge(actor, project, what),
  }),
  clearBuildCache: endpoint({
    id: 'clearBuildCache',
    action: 'build-cache.clear',
    method: 'DELETE',
    path: '/projects/{project}/build-cache',
    summary: 'Remove what earlier builds left to be faster; the next one begins from nothing. 409 while one is running',
    input: projectPath,
    output: clearedCacheView,
    run: ({ platform, actor, input }) => platform.projects.clearBuildCache(actor, input.project),
  }),
  // A mutation in tRPC, because it fetches the repository and takes seconds.
  inspect: endpoint({
    id: 'inspectRepository',
    action: 'project.create',
    method: 'POST',
    path: null,
    summary: 'Fetch a repository and say what would be built',
    input: inspectInput,
    example: { repository: 'https://example.org/x.git' },
    output: inspectionView,
    run: ({ platform, actor, input, signal }) => platform.projects.inspect(actor, input, signal),
  }),
}
