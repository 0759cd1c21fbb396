import { stream } from '../api/endpoint'

export const watchChanges = stream({
  id: 'watchChanges',
  action: 'change.watch',
  path: null,
  summary: 'A notice after every change the team can see: the dashboard refetches what it shows instead of polling',
  resumable: false,
  run: ({ platform, actor, signal }) => platform.changes(actor, signal),
})
