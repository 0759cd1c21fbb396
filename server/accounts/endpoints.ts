import { z } from 'zod'
import { firstAccountInput, meView } from '@/shared/views'
import { endpoint } from '../api/endpoint'
import { actions, refusedTo, roles } from '../teams/policy'

export const setupEndpoints = {
  status: endpoint({
    id: 'setupStatus',
    action: 'public',
    method: 'GET',
    path: null,
    summary: 'Is the first account still to be created?',
    output: z.object({ needed: z.boolean() }),
    run: async ({ platform }) => ({ needed: await platform.accounts.setupNeeded() }),
  }),
  createAccount: endpoint({
    id: 'createFirstAccount',
    action: 'public',
    method: 'POST',
    path: null,
    summary: 'Create the first account with the one-time code that the server printed',
    input: firstAccountInput,
    example: { code: 'AAAA', email: 'x@example.com', password: 'long enough' },
    output: z.object({ userId: z.string() }),
    run: ({ platform, input, address }) => platform.accounts.createFirstAccount(input, address),
  }),
}

/** The user's own view, plus every refused action with the required role, so that the dashboard offers only permitted actions. */
const ownView = meView.extend({ refused: z.partialRecord(z.enum(actions), z.enum(roles)) })

export const meEndpoints = {
  describe: endpoint({
    id: 'getMe',
    action: 'me.read',
    method: 'GET',
    path: '/me',
    summary: 'Whom the key or session belongs to',
    output: meView,
    run: ({ platform, actor }) => platform.accounts.describe(actor),
  }),
  get: endpoint({
    id: 'getMyAccess',
    action: 'me.read',
    method: 'GET',
    path: null,
    summary: 'Whom the session belongs to, and what its role does not allow',
    output: ownView,
    run: async ({ platform, actor }) => ({ ...(await platform.accounts.describe(actor)), refused: refusedTo(actor) }),
  }),
}
