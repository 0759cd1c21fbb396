import { Command, CommanderError, Option } from 'commander'
import { deploymentStatuses } from '@/shared/states'
import { ciProviders } from './ci-file'
import { clearCache } from './commands/cache'
import { cancel } from './commands/cancel'
import { inspectCertificate, listCertificates, removeCertificate, renewCertificate, uploadCertificate } from './commands/certificates'
import { deploy } from './commands/deploy'
import { addDomain, checkDomain, inspectDomain, listDomains, removeDomain, setDomain } from './commands/domains'
import { generateCi } from './commands/generate-ci'
import { init, linkFolder } from './commands/init'
import { list } from './commands/list'
import { login, logout } from './commands/login'
import { logs } from './commands/logs'
import { openProject } from './commands/open'
import { purge } from './commands/purge'
import { listEnvironments, promote, restart, rollback } from './commands/release'
import { requests } from './commands/requests'
import { listVariables, removeVariable, setVariables } from './commands/variables'
import { type CliEnv, readCliEnv } from './env'
import { Interrupted, toWireError, UsageError } from './failure'
import { Progress } from './terminal'
import { cliVersion, updateHint } from './version'

const jsonHelp = 'JSON on stdout, everything else on stderr'

/** Adds the options of every command that calls the API. */
function api(command: Command): Command {
  return command
    .option('--api <url>', 'address of the dashboard (or SWITCHYARD_API)')
    .option('--token-file <file>', 'file that holds the API key (or SWITCHYARD_TOKEN_FILE; SWITCHYARD_TOKEN holds the key itself)')
    .option('--token <key>', 'API key; visible to every user in the list of processes, prefer --token-file or SWITCHYARD_TOKEN')
    .option('--json', jsonHelp)
}
const project = (command: Command): Command =>
  api(command).option('-p, --project <name>', 'name, slug or id; default: the linked project of this folder, else the name in its switchyard.json')

/** Defines the command line. Commands with their own exit code pass it to `setCode`. */
export function buildProgram(env: CliEnv, setCode: (code: number) => void, signal: AbortSignal): Command {
  const program = new Command('switchyard')
    .description('Deploy folders to your own Switchyard and manage your projects.')
    .version(cliVersion, '-V, --version', 'version of this command')
    .showSuggestionAfterError()
    .enablePositionalOptions()
  api(program.command('login').description('store an API key for later commands')).action((options) => login(env, options))
  program
    .command('logout')
    .description('delete the stored API key')
    .action(() => logout(env))
  program
    .command('init [dir]')
    .description('write switchyard.json: the name and settings of the project in this folder')
    .option('--name <name>', 'name of the project')
    .option('--root-directory <path>', 'folder of the app inside the source')
    .option('--install-command <command>')
    .option('--build-command <command>')
    .option('--start-command <command>')
    .option('--output-directory <path>', 'folder of a static site after its build')
    .option('--health-check-path <path>')
    .option('--force', 'overwrite an existing file')
    .option('--json', jsonHelp)
    .action((dir: string | undefined, options) => init(env, dir ?? '.', options))
  program
    .command('generate-ci [dir]')
    .description('write a CI file that deploys the folder on push and each pull request to its preview')
    .addOption(new Option('--provider <name>', 'default: by the Git remote or existing files').choices(ciProviders))
    .option('-p, --project <name>', 'default: the linked project of this folder, else the name in its switchyard.json')
    .option('--branch <name>', 'branch of production', 'main')
    .option('--doppler', 'set the variables of production from Doppler before each deployment (DOPPLER_TOKEN)')
    .option('--dry-run', 'print the file instead of writing it')
    .option('-y, --yes', 'overwrite a file that somebody has changed')
    .option('--json', jsonHelp)
    .action((dir: string | undefined, options) => generateCi(env, dir ?? '.', options))
  project(program.command('link [dir]').description('link a folder to a project')).action((dir: string | undefined, options) =>
    linkFolder(env, dir ?? '.', options),
  )
  project(program.command('deploy [dir]').description('deploy a folder and wait until it is live; creates the project if it is missing'))
    .option('--link', 'link this folder to the project')
    .option('--environment <name>', 'default: production')
    .option('--pull-request <number>', 'deploy to the preview of this pull or merge request')
    .option('--branch <name>', 'branch of the pull request')
    .option('--comment', 'in CI: keep one comment with the address on the pull request (GITHUB_TOKEN, GITLAB_TOKEN or BITBUCKET_TOKEN)')
    .option('--no-cache', 'build without results, packages and caches of earlier builds')
    .option('--wait-for-turn', 'wait if another deployment of the project is running, instead of failing')
    .action(async (dir: string | undefined, options) => setCode(await deploy(env, dir ?? '.', options)))
  project(program.command('logs [deploymentId]').description('build and app log of a deployment; default: the newest deployment of the project'))
    .option('-f, --follow', 'continue until the app is no longer served')
    .option('--tail <lines>', 'only the last lines')
    .action((id: string | undefined, options) => logs(env, id, options, signal))
  project(program.command('requests').description('requests of visitors: all errors and a sample of other requests; with --follow, all requests'))
    .option('-f, --follow', 'continue, and show new requests')
    .option('--status <status>', 'a status (404) or a class (5xx)')
    .option('--path <text>', 'part of path or query')
    .addOption(new Option('--limit <n>', 'number of recent requests to show, at most 200').default('50'))
    .action((options) => requests(env, options, signal))
  api(program.command('ls [project]').description('list projects, or the deployments of a project'))
    .addOption(new Option('--limit <n>', 'deployments shown').default('20'))
    .addOption(new Option('--status <status>', 'only deployments in this status').choices(deploymentStatuses.map((one) => one.toLowerCase())))
    .action((named: string | undefined, options) => list(env, named, options))
  project(program.command('cancel [deploymentId]').description('cancel a running deployment; the live deployment stays live')).action(
    (id: string | undefined, options) => cancel(env, id, options, signal),
  )
  addReleases(program, env, setCode, signal)
  const several = (value: string, before: string[]) => [...before, value]
  project(program.command('purge').description('remove cached responses of a project from the routers; without options all of them'))
    .option('--tag <tag>', 'responses with this tag (Cache-Tag, Surrogate-Key); may be repeated', several, [])
    .option('--path <path>', 'responses of this path or prefix ("/blog/*"); may be repeated', several, [])
    .action((options) => purge(env, options))
  const cache = program.command('cache').description('build cache of a project')
  project(cache.command('clear').description('delete the build cache and print the bytes freed; the next build starts without a cache'))
    .option('-y, --yes', 'skip the confirmation')
    .action((options) => clearCache(env, options))
  api(program.command('open [project]').description('print the address of a project and open it in a browser')).action(
    (named: string | undefined, options) => openProject(env, named, options),
  )
  addVariables(program, env)
  addDomains(program, env, signal)
  addCertificates(program, env)
  return program
}

function addReleases(program: Command, env: CliEnv, setCode: (code: number) => void, signal: AbortSignal): void {
  const released = (command: Command) => project(command).option('--environment <name>', 'default: production')
  const asked = (command: Command) => released(command).option('-y, --yes', 'skip the confirmation')
  asked(
    program.command('rollback [deploymentId]').description('return to the version before the live one, or to the named one, without a build'),
  ).action(async (id: string | undefined, options) => setCode(await rollback(env, id, options, signal)))
  asked(program.command('promote [deploymentId]').description('release the artifact of a deployment in another environment, without a build'))
    .option('--from <environment>', 'promote what is live in this environment')
    .action(async (id: string | undefined, options) => setCode(await promote(env, id, options, signal)))
  released(program.command('restart').description('start the live version anew with the variables of now; no request fails')).action(
    async (options) => setCode(await restart(env, options, signal)),
  )
  const environments = (command: Command) => project(command).option('--closed', 'closed ones too')
  environments(program.command('environments').description('list the environments of a project')).action((options) => listEnvironments(env, options))
  environments(program.command('previews').description('list the previews of a project, one per pull request')).action((options) =>
    listEnvironments(env, { ...options, previews: true }),
  )
}

function addVariables(program: Command, env: CliEnv): void {
  const variables = program.command('env').description('variables of a project; values are write-only')
  const inEnvironment = (command: Command) =>
    project(command).option('--environment <name>', 'default: production; preview: what all previews inherit')
  inEnvironment(variables.command('ls').description('list names and scopes')).action((options) => listVariables(env, options))
  inEnvironment(
    variables
      .command('set [assignment]')
      .description('set KEY with the value from standard input; KEY=VALUE (visible in the list of processes); or --file'),
  )
    .addOption(new Option('--scope <scope>', 'where it is visible').choices(['build', 'runtime', 'both']).default('both'))
    .option('--file <file>', 'set all variables of a file of KEY=VALUE lines, such as .env')
    .action((assignment: string | undefined, options) => setVariables(env, assignment, options))
  inEnvironment(variables.command('rm <key>').description('remove a variable')).action((key: string, options) => removeVariable(env, key, options))
}

const listed = (command: Command) =>
  command.option('--search <text>', 'only names that contain this text').option('--limit <n>', 'maximum number of rows; default: all')

function addDomains(program: Command, env: CliEnv, signal: AbortSignal): void {
  const domains = program.command('domains').description('custom domains of a project: DNS records to set, and check results')
  listed(project(domains.command('ls', { isDefault: true }).description('list domains with their state'))).action((options) =>
    listDomains(env, options),
  )
  const waiting = (command: Command) =>
    command.option('--wait', 'wait until the domain is verified and has its certificate').option('--timeout <seconds>', 'how long to wait', '900')
  waiting(project(domains.command('add <hostname>').description('add a domain and print the records to set')))
    .option('--redirect-to <hostname>', 'redirect all requests to this domain of the project')
    .option('--environment <name>', 'default: production')
    .option('--branch <name>', 'serve the newest deployment of this branch')
    .action((hostname: string, options) => addDomain(env, hostname, options, signal))
  waiting(api(domains.command('check <hostname>').description('check DNS and reachability now'))).action(async (hostname: string, options) =>
    checkDomain(env, hostname, options, signal),
  )
  api(domains.command('inspect <hostname>').description('show records to set, check results and certificate')).action((hostname: string, options) =>
    inspectDomain(env, hostname, options),
  )
  const switches = ['on', 'off']
  api(domains.command('set <hostname>').description('change settings of a domain; other settings stay unchanged'))
    .option('--redirect-to <hostname>', 'another domain of the project, or none')
    .option('--environment <name>', 'serve what is live in this environment')
    .option('--branch <name>', 'serve the newest deployment of this branch, or none')
    .addOption(new Option('--https-redirect <switch>', 'redirect HTTP to HTTPS').choices(switches))
    .option('--hsts-seconds <n>', 'how long browsers remember HTTPS (HSTS); 0: forget')
    .addOption(new Option('--certificate <mode>', 'source of the certificate; off: HTTP only').choices(['automatic', 'uploaded', 'off']))
    .action((hostname: string, { httpsRedirect: https, hstsSeconds: hsts, ...options }) => setDomain(env, hostname, { ...options, https, hsts }))
  api(domains.command('rm <hostname>').description('remove a domain; it is no longer served'))
    .option('-y, --yes', 'skip the confirmation')
    .action((hostname: string, options) => removeDomain(env, hostname, options))
}

function addCertificates(program: Command, env: CliEnv): void {
  const certificates = program.command('certs').description('certificates of domains: automatic ones, and your own')
  listed(project(certificates.command('ls', { isDefault: true }).description('list certificates with state, expiry and next renewal')))
    .option('-a, --all', 'certificates of the whole team')
    .action((options) => listCertificates(env, options))
  api(certificates.command('inspect <domain>').description('show state, its reason, and the latest attempts')).action((domain: string, options) =>
    inspectCertificate(env, domain, options),
  )
  api(certificates.command('renew <domain>').description('order or renew a certificate now')).action((domain: string, options) =>
    renewCertificate(env, domain, options),
  )
  api(certificates.command('upload <domain>').description('upload your own certificate for a domain'))
    .requiredOption('--cert <file>', 'certificate as PEM, with its intermediates')
    .requiredOption('--key <file>', 'private key as PEM, without a passphrase')
    .option('--chain <file>', 'intermediates, if they are in a separate file')
    .action((domain: string, options) => uploadCertificate(env, domain, options))
  api(certificates.command('rm <domain>').description('remove an uploaded certificate; an automatic certificate replaces it'))
    .option('-y, --yes', 'skip the confirmation')
    .action((domain: string, options) => removeCertificate(env, domain, options))
}

function exitOverride(command: Command): void {
  command.exitOverride()
  for (const sub of command.commands) exitOverride(sub)
}

/** Runs a command line. @returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function main(argv: readonly string[], env: CliEnv = readCliEnv()): Promise<number> {
  let code = 0
  const interrupt = new AbortController()
  const program = buildProgram(
    env,
    (value) => {
      code = value
    },
    interrupt.signal,
  )
  exitOverride(program)
  // `deploy` has its own handler, which cancels the deployment.
  if (argv[0] !== 'deploy') process.once('SIGINT', () => interrupt.abort(new Interrupted()))
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return interrupt.signal.aborted ? 130 : code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (interrupt.signal.aborted || error instanceof Interrupted) return 130
    const wire = toWireError(error)
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: wire })}\n`)
    new Progress().failure(wire)
    return error instanceof UsageError ? 2 : 1
  } finally {
    const hint = updateHint()
    if (hint) new Progress().warn(hint)
  }
}
