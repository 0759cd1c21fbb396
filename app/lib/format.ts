import type { Framework } from '@/shared/build-plan'
import type { DeploymentSummary } from '@/shared/views'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** "14:03:09". */
export const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })

/** "Nov 30, 2026, 14:03:09 GMT+1"; without `timeZone` in the zone of the machine, which on a server differs from the reader's zone. */
export const exactTime = (value: string, timeZone?: string): string =>
  new Date(value).toLocaleString('en', {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
    timeZone,
  })

/** "Nov 30, 2026". */
export const formatDay = (value: string | Date, timeZone?: string): string =>
  new Date(value).toLocaleDateString('en', { year: 'numeric', month: 'short', day: 'numeric', timeZone })

/** "just now", "4 min ago", "3 h ago", "2 d ago"; a date after 30 days. */
export function formatAge(from: string | Date, now: number, timeZone?: string): string {
  const at = new Date(from)
  const age = now - at.getTime()
  if (age < 45 * second) return 'just now'
  if (age < hour) return `${Math.max(1, Math.round(age / minute))} min ago`
  if (age < day) return `${Math.round(age / hour)} h ago`
  if (age < 30 * day) return `${Math.round(age / day)} d ago`
  return formatDay(at, timeZone)
}

/** "640 ms", "4.2 s", "42 s", "3 m 08 s", "2 h 05 m", "3 d 4 h". */
export function formatDuration(ms: number): string {
  if (ms < second) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 10 * second) return `${(ms / second).toFixed(1)} s`
  if (ms < minute) return `${Math.floor(ms / second)} s`
  const pad = (value: number) => String(value).padStart(2, '0')
  if (ms < hour) return `${Math.floor(ms / minute)} m ${pad(Math.floor((ms % minute) / second))} s`
  if (ms < day) return `${Math.floor(ms / hour)} h ${pad(Math.floor((ms % hour) / minute))} m`
  return `${Math.floor(ms / day)} d ${Math.floor((ms % day) / hour)} h`
}

/** "512 B", "4.2 MB", in powers of 1024 as `docker stats` and `du -h` show them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export const shortSha = (sha: string): string => sha.slice(0, 7)

/** Repository address without scheme, credentials and `.git`. */
export function repositoryLabel(url: string): string {
  return url
    .replace(/^[a-z+]+:\/\//i, '')
    .replace(/^[^@/]*@/, '')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
}

/** A project name taken from a repository address: its last path segment. */
export function nameFromRepository(url: string): string {
  return repositoryLabel(url.trim()).split(/[/:]/).at(-1) ?? ''
}

const frameworkLabels: Record<Framework, string> = {
  nextjs: 'Next.js',
  vite: 'Vite',
  static: 'Static site',
  node: 'Node.js',
  dockerfile: 'Dockerfile',
}
export const frameworkLabel = (framework: string | null): string | null =>
  framework === null ? null : framework in frameworkLabels ? frameworkLabels[framework as Framework] : framework

export const hostOf = (url: string): string => url.replace(/^https?:\/\//, '').replace(/\/$/, '')

/** "Production"; other environments by their own name. */
export const environmentName = (name: string): string => (name === 'production' ? 'Production' : name)

/** First line of the commit message, else the source of the deployment. */
export function deploymentTitle(deployment: Pick<DeploymentSummary, 'commitMessage' | 'source'>): string {
  const subject = deployment.commitMessage?.split('\n')[0]?.trim()
  return subject || (deployment.source.kind === 'archive' ? 'Uploaded folder' : 'Deployment')
}

const fileFrameworks: ReadonlySet<string> = new Set<Framework>(['vite', 'static'])
/** True when the live version consists of static files, which the routers serve without an instance. */
export const isServedFromFiles = (project: { liveDeployment: Pick<DeploymentSummary, 'framework'> | null }): boolean =>
  fileFrameworks.has(project.liveDeployment?.framework ?? '')

/** Forges whose page of the commits between two commits has this address. */
const comparingForges: readonly string[] = ['github.com', 'gitlab.com', 'codeberg.org']

type Committed = Pick<DeploymentSummary, 'source' | 'commitSha'>
/** Page of the forge with the commits between two deployments; null: different repositories, or a forge whose addresses are not known. */
export function commitsUrl(from: Committed, to: Committed): string | null {
  const { repository } = to.source
  if (!repository || repository !== from.source.repository || !from.commitSha || !to.commitSha) return null
  const label = repositoryLabel(repository)
  return comparingForges.includes(label.split('/')[0] ?? '') ? `https://${label}/compare/${from.commitSha}...${to.commitSha}` : null
}
