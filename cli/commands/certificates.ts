import { readFile } from 'node:fs/promises'
import pc from 'picocolors'
import type { RestAnswer } from '@/server/api/rest/client-types'
import { type CertificateTryView, type CertificateView, certificateTraits } from '@/shared/certificates'
import { type ApiOptions, type Context, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { type ListOptions, limitOf, readPages } from '../pages'
import { confirmByName } from '../prompt'
import { ago, table } from '../terminal'

type Options = ApiOptions & { project?: string }

const tones = { neutral: pc.dim, progress: pc.cyan, good: pc.green, bad: pc.red }
function stateOf({ state, notAfter }: CertificateView): string {
  if (notAfter !== null && Date.parse(notAfter) <= Date.now()) return pc.red('Expired')
  return tones[certificateTraits[state].tone](certificateTraits[state].label)
}
const dayOf = (iso: string | null): string => iso?.slice(0, 10) ?? '–'
const minuteOf = (iso: string | null): string => iso?.slice(0, 16).replace('T', ' ') ?? '–'
const outcomes: Record<CertificateTryView['outcome'], string> = {
  running: pc.cyan('under way'),
  succeeded: pc.green('issued'),
  failed: pc.red('failed'),
  unasked: pc.dim('CA not reached'),
}

/** Finds a certificate by id or hostname; an uploaded certificate takes precedence over an automatic one. @throws UsageError */
async function findCertificate(context: Context, named: string): Promise<CertificateView> {
  // A public hostname contains a dot, an id does not.
  if (!named.includes('.')) return context.client.call<RestAnswer<'GET /certificates/{certificateId}'>>(`/certificates/${encodeURIComponent(named)}`)
  const items = await readPages<CertificateView>(context.client, '/certificates', { domain: named }, 100)
  const certificate = items.find((one) => one.source === 'uploaded') ?? items[0]
  if (certificate) return certificate
  const others = await readPages<CertificateView>(context.client, '/certificates', {}, 10)
  const there = [...new Set(others.map((one) => one.hostname))]
  throw new UsageError(
    `There is no certificate for ${named}.`,
    there.length > 0 ? `There are: ${there.join(', ')}` : 'Add a domain first: switchyard domains add example.com',
  )
}

/** Lists certificates of the named or linked project; with `--all`, of the whole team. */
export async function listCertificates(env: CliEnv, options: Options & ListOptions & { all?: boolean }): Promise<void> {
  const limit = limitOf(options)
  const context = await openContext(env, options)
  const project = options.all ? null : await currentProject(context, options.project)
  const items = await readPages<CertificateView>(context.client, '/certificates', { projectId: project?.id, search: options.search }, limit)
  if (context.json) return printResult({ items })
  if (items.length === 0)
    return context.progress.note(
      options.search
        ? `No certificate is of a domain with "${options.search}" in its name.`
        : 'No certificate yet. They come by themselves once a domain is verified.',
    )
  const rows = items.map((one) => [
    one.hostname,
    stateOf(one),
    one.issuer ?? '–',
    dayOf(one.notAfter),
    one.source === 'uploaded' ? pc.dim('uploaded') : minuteOf(one.nextAttemptAt),
    one.problem?.message ?? '',
  ])
  printResult(table([['DOMAIN', 'STATE', 'ISSUER', 'VALID UNTIL', 'NEXT RENEWAL (UTC)', 'PROBLEM'].map(pc.dim), ...rows]))
}

/** Prints state, cause and latest attempts of a certificate. */
export async function inspectCertificate(env: CliEnv, named: string, options: ApiOptions): Promise<void> {
  const context = await openContext(env, options)
  const { id } = await findCertificate(context, named)
  const detail = await context.client.call<RestAnswer<'GET /certificates/{certificateId}'>>(`/certificates/${id}`)
  if (context.json) return printResult(detail)
  const lines = [
    `${pc.bold(detail.names.join(', '))}  ${stateOf(detail)}`,
    `Issuer:       ${detail.issuer ?? '–'}`,
    `Valid:        ${dayOf(detail.notBefore)} to ${dayOf(detail.notAfter)}`,
    `Next attempt: ${minuteOf(detail.nextAttemptAt)}${detail.nextAttemptAt ? ' UTC' : ''}`,
  ]
  if (detail.problem) {
    lines.push('', pc.red(detail.problem.message))
    for (const text of [detail.problem.stillServing, detail.problem.nextAction]) if (text) lines.push(text)
  }
  const rows = detail.tries.map((one) => [ago(one.startedAt), one.authority, outcomes[one.outcome], one.problem?.message ?? ''])
  if (rows.length > 0) lines.push('', table([['ASKED', 'AUTHORITY', 'OUTCOME', 'PROBLEM'].map(pc.dim), ...rows]))
  printResult(lines.join('\n'))
}

/** Orders or renews a certificate now. */
export async function renewCertificate(env: CliEnv, named: string, options: ApiOptions): Promise<void> {
  const context = await openContext(env, options)
  const { id, hostname } = await findCertificate(context, named)
  const certificate = await context.client.call<RestAnswer<'POST /certificates/{certificateId}/retry'>>(`/certificates/${id}/retry`, {
    method: 'POST',
    body: {},
  })
  if (context.json) return printResult(certificate)
  context.progress.done(`Requesting a certificate for ${hostname}`, `see: switchyard certs inspect ${hostname}`)
}

/** Uploads a certificate from PEM files. */
export async function uploadCertificate(
  env: CliEnv,
  domain: string,
  options: ApiOptions & { cert: string; key: string; chain?: string },
): Promise<void> {
  const read = (file: string) =>
    readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`${file} cannot be read (${error.code}).`, 'Give the paths of PEM files: --cert fullchain.pem --key key.pem')
    })
  const [certificate, chain, privateKey] = await Promise.all([read(options.cert), options.chain ? read(options.chain) : '', read(options.key)])
  const context = await openContext(env, options)
  const saved = await context.client.call<RestAnswer<'POST /certificates'>>('/certificates', {
    method: 'POST',
    body: { domain, certificate: `${certificate}\n${chain}`, privateKey },
  })
  if (context.json) return printResult(saved)
  context.progress.done(`${saved.hostname} is served with your certificate`, `${saved.issuer}, until ${dayOf(saved.notAfter)}`)
}

/** Removes an uploaded certificate. */
export async function removeCertificate(env: CliEnv, named: string, options: ApiOptions & { yes?: boolean }): Promise<void> {
  const context = await openContext(env, options)
  const { id, hostname } = await findCertificate(context, named)
  await confirmByName('Until an automatic certificate is there, it may not be reachable over HTTPS.', hostname, options)
  await context.client.call(`/certificates/${id}`, { method: 'DELETE' })
  if (context.json) return printResult({ id, removed: true })
  context.progress.done(`The uploaded certificate of ${hostname} is removed`, 'an automatic certificate replaces it')
}
