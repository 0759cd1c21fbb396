import { z } from 'zod'
import { apiKeyInput, apiKeyView, createdApiKeyView } from '@/shared/views'
import { endpoint } from '../api/endpoint'

export const apiKeyEndpoints = {
  list: endpoint({
    id: 'listApiKeys',
    action: 'api-key.read',
    method: 'GET',
    path: null,
    summary: 'List the API keys of the team that are not revoked',
    output: z.array(apiKeyView),
    run: ({ platform, actor }) => platform.apiKeys.list(actor),
  }),
  create: endpoint({
    id: 'createApiKey',
    action: 'api-key.write',
    method: 'POST',
    path: null,
    summary: 'Create an API key; it is shown this once',
    input: apiKeyInput,
    example: { name: 'ci' },
    output: createdApiKeyView,
    run: ({ platform, actor, input }) => platform.apiKeys.create(actor, input),
  }),
  revoke: endpoint({
    id: 'revokeApiKey',
    action: 'api-key.write',
    method: 'DELETE',
    path: null,
    summary: 'Revoke an API key: from now on it opens nothing',
    input: z.object({ apiKeyId: z.string().min(1).max(64) }),
    run: ({ platform, actor, input }) => platform.apiKeys.revoke(actor, input.apiKeyId),
  }),
}
