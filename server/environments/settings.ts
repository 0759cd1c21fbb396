import type { PrismaClient } from '@/server/database/generated/client'
import { type RuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'

type Layers = { settings: unknown; parent: { settings: unknown } | null; project: { runtimeSettings: unknown } }

export const settingsSelect = {
  settings: true,
  parent: { select: { settings: true } },
  project: { select: { runtimeSettings: true } },
} as const

/** Settings that hold in an environment: its own, then those of the environment it inherits from, then the project's, then the defaults. */
export const settingsOf = ({ settings, parent, project }: Layers): RuntimeSettings =>
  readRuntimeSettings({ ...asObject(project.runtimeSettings), ...asObject(parent?.settings), ...asObject(settings) })

const asObject = (value: unknown): object => (value !== null && typeof value === 'object' ? value : {})

/** Settings of each of these environments, by id. An environment that is gone is absent. */
export async function readSettings(prisma: Pick<PrismaClient, 'environment'>, environmentIds: string[]): Promise<Map<string, RuntimeSettings>> {
  const rows = await prisma.environment.findMany({ where: { id: { in: environmentIds } }, select: { id: true, ...settingsSelect } })
  return new Map(rows.map((row) => [row.id, settingsOf(row)]))
}
