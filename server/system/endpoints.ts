import { storageView, systemView } from '@/shared/views'
import { endpoint } from '../api/endpoint'

export const systemEndpoints = {
  // Details name paths and addresses of the machine: they are for its operators.
  status: endpoint({
    id: 'getSystemStatus',
    action: 'system.read',
    method: 'GET',
    path: null,
    summary: 'Version and settings of the installation, and which of its checks hold',
    output: systemView,
    async run({ platform, actor }) {
      const { ready, weakness, checks } = await platform.health()
      const shown = Object.entries(checks).map(([name, check]) => [name, { ok: check.ok, detail: actor.operator ? check.detail : null }])
      const { version, runtime, baseDomain, edgeHttpPort, appUrlPattern } = platform.settings
      return { version, runtime, baseDomain, edgeHttpPort, appUrlPattern, ready, weakness, checks: Object.fromEntries(shown) }
    },
  }),
  storage: endpoint({
    id: 'getStorage',
    action: 'system.read',
    method: 'GET',
    path: null,
    summary: 'What takes space on the disks, for operators of the machine; null for everybody else',
    output: storageView.nullable(),
    run: async ({ platform, actor }) => (actor.operator ? platform.storage() : null),
  }),
}
