import { z } from 'zod'
import { shareLinkInput, shareLinkView } from '@/shared/environments'
import { endpoint } from '../api/endpoint'
import { environmentPath } from './endpoints'

const linkPath = environmentPath.extend({ link: z.string().min(1).max(64).meta({ description: 'Id of the share link.' }) })

export const shareLinkEndpoints = {
  list: endpoint({
    id: 'listShareLinks',
    action: 'share-link.read',
    method: 'GET',
    path: '/environments/{environment}/share-links',
    summary: 'List the links by which a protected environment can be visited',
    input: environmentPath,
    output: z.object({ items: z.array(shareLinkView) }),
    run: async ({ platform, actor, input }) => ({ items: await platform.shareLinks.list(actor, input.environment) }),
  }),
  create: endpoint({
    id: 'createShareLink',
    action: 'share-link.write',
    method: 'POST',
    path: '/environments/{environment}/share-links',
    summary: 'Create a link by which a protected environment can be visited until it expires',
    input: environmentPath.extend(shareLinkInput.shape),
    example: { name: 'Design review', days: 7 },
    output: shareLinkView,
    status: 201,
    run: ({ platform, actor, input: { environment, ...input } }) => platform.shareLinks.create(actor, environment, input),
  }),
  revoke: endpoint({
    id: 'revokeShareLink',
    action: 'share-link.write',
    method: 'DELETE',
    path: '/environments/{environment}/share-links/{link}',
    summary: 'Revoke a share link, with the cookies it has set',
    input: linkPath,
    run: ({ platform, actor, input }) => platform.shareLinks.revoke(actor, input.environment, input.link),
  }),
  open: endpoint({
    id: 'openEnvironment',
    action: 'share-link.write',
    method: 'POST',
    path: '/environments/{environment}/open',
    summary: 'Give the address at which you may visit an environment, with a link of twelve hours where it is protected',
    input: environmentPath,
    output: z.object({ url: z.string(), expiresAt: z.iso.datetime().nullable() }),
    run: ({ platform, actor, input }) => platform.shareLinks.open(actor, input.environment),
  }),
}
