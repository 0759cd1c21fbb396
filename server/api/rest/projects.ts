import { z } from 'zod'
import { purgeInput, purgeView } from '@/shared/purge'
import { clearedCacheView, pageInput, projectInput, projectPatch, projectView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { defineRoute } from './route'
import { createdProject, instanceList, projectList, projectPath } from './schemas'

export const projectRoutes = [
  defineRoute({
    id: 'createProject',
    method: 'POST',
    path: '/projects',
    action: 'project.create',
    summary: 'Create a project',
    body: projectInput,
    answer: { status: 201, schema: createdProject },
    handle: async ({ actor, body }) => {
      const project = await getPlatform().projects.create(actor, body)
      return { ...project, projectId: project.id }
    },
  }),
  defineRoute({
    id: 'listProjects',
    method: 'GET',
    path: '/projects',
    action: 'project.read',
    summary: 'List the projects of the team, newest first',
    query: pageInput,
    answer: { status: 200, schema: projectList },
    handle: ({ actor, query }) => getPlatform().projects.page(actor, query),
  }),
  defineRoute({
    id: 'getProject',
    method: 'GET',
    path: '/projects/{project}',
    action: 'project.read',
    summary: 'Show a project',
    params: projectPath,
    answer: { status: 200, schema: projectView },
    handle: ({ actor, params }) => getPlatform().projects.get(actor, params.project),
  }),
  defineRoute({
    id: 'updateProject',
    method: 'PATCH',
    path: '/projects/{project}',
    action: 'project.update',
    summary: 'Change settings; the next deployment uses them',
    params: projectPath,
    body: projectPatch,
    answer: { status: 200, schema: projectView },
    handle: ({ actor, params, body }) => getPlatform().projects.update(actor, params.project, body),
  }),
  defineRoute({
    id: 'removeProject',
    method: 'DELETE',
    path: '/projects/{project}',
    action: 'project.remove',
    summary: 'Stop and remove everything of a project',
    params: projectPath,
    query: z.object({ confirm: z.string().max(100).meta({ description: 'The name of the project, typed again.' }) }),
    answer: { status: 204 },
    handle: ({ actor, params, query }) => getPlatform().projects.remove(actor, params.project, query.confirm),
  }),
  defineRoute({
    id: 'purgeCache',
    method: 'POST',
    path: '/projects/{project}/purge',
    action: 'cache.purge',
    summary: 'Have the routers forget the answers they keep: by tag, by path, or all',
    params: projectPath,
    body: purgeInput,
    answer: { status: 200, schema: purgeView },
    handle: ({ actor, params, body }) => getPlatform().cache.purge(actor, params.project, body),
  }),
  defineRoute({
    id: 'clearBuildCache',
    method: 'DELETE',
    path: '/projects/{project}/build-cache',
    action: 'build-cache.clear',
    summary: 'Remove what earlier builds left to be faster; the next one begins from nothing. 409 while one is running',
    params: projectPath,
    answer: { status: 200, schema: clearedCacheView },
    handle: ({ actor, params }) => getPlatform().projects.clearBuildCache(actor, params.project),
  }),
  defineRoute({
    id: 'listInstances',
    method: 'GET',
    path: '/projects/{project}/instances',
    action: 'instance.read',
    summary: 'List the instances of a project',
    params: projectPath,
    answer: { status: 200, schema: instanceList },
    handle: async ({ actor, params }) => {
      const { projects, instances } = getPlatform()
      const { id } = await projects.get(actor, params.project)
      return { items: await instances.list(actor, id) }
    },
  }),
]
