import { z } from 'zod'
import { deliveriesQuery, deliveryView, deployHookInput, deployHookView, gitHookView } from '@/shared/git-events'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

const id = z.string().min(1).max(64)
const deliveryPath = z.object({ gitDeliveryId: id })

export const gitEventEndpoints = {
  hook: endpoint({
    id: 'getGitHook',
    action: 'git-hook.read',
    method: 'GET',
    path: '/projects/{project}/git-hook',
    summary: 'Address and secret of the webhook that announces pushes and pull requests',
    input: projectPath,
    output: gitHookView,
    run: ({ platform, actor, input }) => platform.gitEvents.hook(actor, input.project),
  }),
  rotateSecret: endpoint({
    id: 'rotateGitHookSecret',
    action: 'git-hook.write',
    method: 'POST',
    path: '/projects/{project}/git-hook/rotate',
    summary: 'Make a new secret for the webhook; the old one is accepted for some minutes more',
    input: projectPath.extend({
      keepPreviousMinutes: z.number().int().min(0).max(10_080).default(60).meta({ description: '0: the old secret is refused at once.' }),
    }),
    output: gitHookView,
    run: ({ platform, actor, input }) => platform.gitEvents.rotateSecret(actor, input),
  }),
  deliveries: endpoint({
    id: 'listGitDeliveries',
    action: 'delivery.read',
    method: 'GET',
    path: '/git-deliveries',
    summary: 'List what Git hosts have delivered, and what was decided about it, newest first',
    input: deliveriesQuery,
    output: z.object({ items: z.array(deliveryView), nextCursor: z.string().nullable() }),
    run: ({ platform, actor, input }) => platform.gitEvents.deliveries(actor, input),
  }),
  replay: endpoint({
    id: 'replayGitDelivery',
    action: 'delivery.replay',
    method: 'POST',
    path: '/git-deliveries/{gitDeliveryId}/replay',
    summary: 'Decide about a delivery once more, by the rules of now',
    input: deliveryPath,
    output: deliveryView,
    status: 201,
    run: ({ platform, actor, input }) => platform.gitEvents.replay(actor, input.gitDeliveryId),
  }),
  approve: endpoint({
    id: 'approveGitDelivery',
    action: 'delivery.approve',
    method: 'POST',
    path: '/git-deliveries/{gitDeliveryId}/approve',
    summary: 'Let the commit of a fork run in its preview',
    input: deliveryPath,
    output: deliveryView,
    status: 201,
    run: ({ platform, actor, input }) => platform.gitEvents.approve(actor, input.gitDeliveryId),
  }),
  deployHooks: endpoint({
    id: 'listDeployHooks',
    action: 'deploy-hook.read',
    method: 'GET',
    path: '/projects/{project}/deploy-hooks',
    summary: 'List the secret addresses that deploy a branch',
    input: projectPath,
    output: z.object({ items: z.array(deployHookView) }),
    run: async ({ platform, actor, input }) => ({ items: await platform.gitEvents.deployHooks(actor, input.project) }),
  }),
  createDeployHook: endpoint({
    id: 'createDeployHook',
    action: 'deploy-hook.write',
    method: 'POST',
    path: '/projects/{project}/deploy-hooks',
    summary: 'Create a secret address that deploys a branch; it is shown this once',
    input: projectPath.extend(deployHookInput.shape),
    example: { name: 'cms' },
    output: deployHookView.extend({ url: z.string() }),
    status: 201,
    run: ({ platform, actor, input }) => platform.gitEvents.createDeployHook(actor, input),
  }),
  removeDeployHook: endpoint({
    id: 'removeDeployHook',
    action: 'deploy-hook.write',
    method: 'DELETE',
    path: '/deploy-hooks/{deployHookId}',
    summary: 'Remove a deploy hook: from now on its address deploys nothing',
    input: z.object({ deployHookId: id }),
    run: ({ platform, actor, input }) => platform.gitEvents.removeDeployHook(actor, input.deployHookId),
  }),
}
