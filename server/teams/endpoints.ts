import { z } from 'zod'
import { memberView } from '@/shared/views'
import { endpoint } from '../api/endpoint'

export const teamEndpoints = {
  members: endpoint({
    id: 'listMembers',
    action: 'team.read',
    method: 'GET',
    path: null,
    summary: 'List the members of the team',
    output: z.array(memberView),
    run: ({ platform, actor }) => platform.team.members(actor),
  }),
}
