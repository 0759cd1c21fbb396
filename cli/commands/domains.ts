import { setTimeout as pause } from 'node:timers/promises'
import pc from 'picocolors'
import type { RestAnswer } from '@/server/api/rest/client-types'
import { checkTitles, type DnsRecord, type DomainCheck, type DomainPatch, type DomainView, domainPatch, domainTraits } from '@/shared/domains'
import { AppError } from '@/shared/errors'
import { type ApiOptions, type Context, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { type ListOptions, limitOf, readPages } from '../pages'
import { confirmByName } from '../prompt'
import { ago, table } from '../terminal'

type Options = ApiOptions & { project?: string }
type WaitOptions = { wait?: boolean; timeout: string }

const pathOf = (domain: string, end = '') => `/domains/${encodeURIComponent(domain)}${end}`
const tones = { neutral: pc.dim, progress: pc.cyan, good: pc.green, bad: pc.red }
const stateOf = ({ state }: DomainView): string => tones[domainTraits[state].tone](domainTraits[state].label)
const marks: Record<DomainCheck['state'], string> = { ok: pc.green('✓'), warn: pc.yellow('!'), fail: pc.red('✗'), unknown: pc.dim('?') }
/** Reading a domain schedules its next check soon; reading more often does not make it sooner. */
const waitPauseMs = 2_000

function certificateOf({ certificate, certificateMode, certificateAuthority }: DomainView): string {
  if (certificateMode === 'off') return pc.dim('off')
  if (certificate) return certificate.notAfter ? `${certificate.state}, until ${certificate.notAfter.slice(0, 10)}` : certificate.state
  return certificateAuthority || certificateMode === 'uploaded' ? pc.dim('none yet') : pc.dim('no authority configured')
}

const recordTable = (records: DnsRecord[]): string =>
  table([['TYPE', 'NAME', 'VALUE'].map(pc.dim), ...records.map((record) => [record.type, record.name, record.value])])
const indented = (text: string): string => text.replace(/^/gm, '  ')

/** Prints all details of a domain. */
function describe(domain: DomainView): string {
  const parts = [`${pc.bold(domain.displayName)}  ${stateOf(domain)}  ${domain.url}`]
  if (domain.redirectTo) parts.push(`Redirects to ${domain.redirectTo}`)
  parts.push(`Certificate: ${certificateOf(domain)}`)
  if (domain.state !== 'verified') {
    parts.push('', 'Set at your DNS host:', indented(recordTable(domain.records)))
    for (const note of domain.notes) parts.push(indented(pc.yellow(note)))
    for (const other of domain.alternatives) parts.push('', other.when, indented(recordTable(other.records)))
  }
  if (domain.checks.length > 0) parts.push('', `Checked ${domain.checkedAt ? ago(domain.checkedAt) : 'never'}:`, ...domain.checks.map(describeCheck))
  return parts.join('\n')
}

function describeCheck(check: DomainCheck): string {
  const lines = [`${marks[check.state]} ${checkTitles[check.id]}: ${check.cause}`]
  if (check.state !== 'ok' && check.fix) lines.push(`    ${check.fix}`)
  for (const record of check.set) lines.push(`    set     ${record.type} ${record.name} ${record.value}`)
  for (const record of check.remove) lines.push(`    remove  ${record.type} ${record.name} ${record.value}`)
  return lines.join('\n')
}

export async function listDomains(env: CliEnv, options: Options & ListOptions): Promise<void> {
  const limit = limitOf(options)
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const items = await readPages<DomainView>(context.client, `/projects/${project.id}/domains`, { search: options.search }, limit)
  if (context.json) return printResult({ items })
  if (items.length === 0)
    return context.progress.note(
      options.search
        ? `No domain of ${project.name} has "${options.search}" in its name.`
        : `${project.name} has no domain of its own. Add one: switchyard domains add example.com`,
    )
  const rows = items.map((one) => [
    one.hostname,
    stateOf(one),
    certificateOf(one),
    one.redirectTo ? `→ ${one.redirectTo}` : (one.branch ?? one.environment),
    one.problem?.message ?? '',
  ])
  printResult(table([['DOMAIN', 'STATE', 'CERTIFICATE', 'SERVES', 'PROBLEM'].map(pc.dim), ...rows]))
}

export async function addDomain(
  env: CliEnv,
  hostname: string,
  options: Options & WaitOptions & { redirectTo?: string; environment?: string; branch?: string },
  signal: AbortSignal,
): Promise<void> {
  const context = await openContext(env, options, signal)
  const seconds = timeoutOf(options)
  const project = await currentProject(context, options.project)
  const { redirectTo, environment, branch } = options
  const added = await context.client.call<RestAnswer<'POST /projects/{project}/domains'>>(`/projects/${project.id}/domains`, {
    method: 'POST',
    body: { hostname, redirectTo, environment, branch },
  })
  context.progress.done(`${added.displayName} is added to ${project.name}`, 'it is served once its DNS is verified')
  if (options.wait) return report(context, await waitUntilServed(context, added, seconds, signal))
  report(context, added)
}

export async function checkDomain(env: CliEnv, hostname: string, options: ApiOptions & WaitOptions, signal: AbortSignal): Promise<void> {
  const context = await openContext(env, options, signal)
  const seconds = timeoutOf(options)
  const checked = await context.client.call<RestAnswer<'POST /domains/{domain}/check'>>(pathOf(hostname, '/check'), {
    method: 'POST',
    body: {},
    deadlineMs: 60_000,
  })
  if (options.wait) return report(context, await waitUntilServed(context, checked, seconds, signal))
  report(context, checked)
}

export async function inspectDomain(env: CliEnv, hostname: string, options: ApiOptions): Promise<void> {
  const context = await openContext(env, options)
  report(context, await context.client.call<RestAnswer<'GET /domains/{domain}'>>(pathOf(hostname)))
}

/** Changes the given settings of a domain. */
export async function setDomain(env: CliEnv, hostname: string, options: ApiOptions & DomainChanges): Promise<void> {
  const patch = patchOf(options)
  const context = await openContext(env, options)
  const changed = await context.client.call<RestAnswer<'PATCH /domains/{domain}'>>(pathOf(hostname), { method: 'PATCH', body: patch })
  context.progress.done(`${changed.displayName} is changed`, 'in effect at once')
  report(context, changed)
}

/** Values of the command line options; `none` clears a value. */
export interface DomainChanges {
  redirectTo?: string
  environment?: string
  branch?: string
  https?: string
  hsts?: string
  certificate?: string
}

const orNone = (value: string): string | null => (value === 'none' ? null : value)

function patchOf({ redirectTo, environment, branch, https, hsts, certificate }: DomainChanges): DomainPatch {
  const wanted = {
    ...(redirectTo === undefined ? {} : { redirectTo: orNone(redirectTo) }),
    ...(environment === undefined ? {} : { environment }),
    ...(branch === undefined ? {} : { branch: orNone(branch) }),
    ...(https === undefined ? {} : { httpsRedirect: https === 'on' }),
    ...(hsts === undefined ? {} : { hstsSeconds: /^\d+$/.test(hsts) ? Number(hsts) : Number.NaN }),
    ...(certificate === undefined ? {} : { certificateMode: certificate }),
  }
  const parsed = domainPatch.safeParse(wanted)
  if (Object.keys(wanted).length > 0 && parsed.success) return parsed.data
  const [issue] = parsed.error?.issues ?? []
  throw new UsageError(
    issue ? `${issue.path.join('.')}: ${issue.message}` : 'What is to be changed?',
    'For example: switchyard domains set example.com --https-redirect on --hsts-seconds 31536000',
  )
}

export async function removeDomain(env: CliEnv, hostname: string, options: ApiOptions & { yes?: boolean }): Promise<void> {
  const context = await openContext(env, options)
  const domain = await context.client.call<RestAnswer<'GET /domains/{domain}'>>(pathOf(hostname))
  await confirmByName('Its visitors get an error page from then on.', domain.hostname, options)
  await context.client.call(`${pathOf(domain.id)}?${new URLSearchParams({ confirm: domain.hostname })}`, { method: 'DELETE' })
  if (context.json) return printResult({ hostname: domain.hostname, removed: true })
  context.progress.done(`${domain.displayName} is removed`, 'it is no longer served')
}

const report = (context: Context, domain: DomainView): void => printResult(context.json ? domain : describe(domain))

function timeoutOf({ timeout }: WaitOptions): number {
  const seconds = Number(timeout)
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new UsageError(`--timeout ${timeout} is not a number of seconds.`, 'For example: --timeout 600')
  return seconds
}

/** True if the domain is verified and has its certificate, if it will get one. */
function isServed({ state, certificate, certificateMode, certificateAuthority }: DomainView): boolean {
  const awaited = certificateMode === 'automatic' && certificateAuthority
  return state === 'verified' && (!awaited || (certificate !== null && certificate.notAfter !== null))
}

/** @throws ERR_DEADLINE with the remaining problem */
async function waitUntilServed(context: Context, first: DomainView, seconds: number, signal: AbortSignal): Promise<DomainView> {
  const { client, progress } = context
  const end = Date.now() + seconds * 1000
  let domain = first
  let told = ''
  for (; !isServed(domain); domain = await client.call<RestAnswer<'GET /domains/{domain}'>>(pathOf(domain.id))) {
    const waitsFor = domain.problem ? domain.problem.message : domain.state === 'verified' ? 'the certificate' : 'the first check'
    if (waitsFor !== told) progress.note(`waiting: ${waitsFor}${domain.problem?.nextAction ? ` ${domain.problem.nextAction}` : ''}`)
    told = waitsFor
    progress.status(`waiting for ${domain.hostname}`)
    if (Date.now() > end)
      throw new AppError('ERR_DEADLINE', `${domain.hostname} was not ready within ${seconds} s: ${waitsFor}`, {
        nextAction: domain.problem?.nextAction ?? `Look again later: switchyard domains inspect ${domain.hostname}`,
      })
    await pause(waitPauseMs, undefined, { signal })
  }
  progress.stop()
  progress.done(`${domain.hostname} is served`, domain.url)
  return domain
}
