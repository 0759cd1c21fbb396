import { Command, CommanderError, Option } from 'commander'
import { reachedDeploymentStatuses } from '@/shared/states'
import { clearCache } from './commands/cache'
import { cancel } from './commands/cancel'
import { inspectCertificate, listCertificates, removeCertificate, renewCertificate, uploadCertificate } from './commands/certificates'
import { deploy } from './commands/deploy'
import { addDomain, checkDomain, inspectDomain, listDomains, removeDomain, setDomain } from './commands/domains'
import { init, linkFolder } from './commands/init'
import { list } from './commands/list'
import { login, logout } from './commands/login'
import { logs } from './commands/logs'
import { openProject } from './commands/open'
import { purge } from './commands/purge'
import { requests } from './commands/requests'
import { listVariables, removeVariable, setVariables } from './commands/variables'
import { type CliEnv, readCliEnv } from './env'
import { Interrupted, toWireError, UsageError } from './failure'
import { Progress } from './terminal'
import { cliVersion, updateHint } from './version'

const jsonHelp = 'JSON on stdout, everything else on stderr'

/** Adds the options of every command that asks the API. */
function api(command: Command): Command {
  return command
    .option('--api <url>', 'address of the dashboard (or SWITCHYARD_API)')
    .option('--token-file <file>', 'file that holds the API key (or SWITCHYARD_TOKEN_FILE; SWITCHYARD_TOKEN holds the key itself)')
    .option('--token <key>', 'API key; seen by everybody in the list of processes, prefer --token-file or SWITCHYARD_TOKEN')
    .option('--json', jsonHelp)
}
const project = (command: Command): Command =>
  api(command).option('-p, --project <name>', 'name, slug or id; default: what this folder is linked to, else the name in its switchyard.json')

/** The whole command line. `setCode` takes the exit code of a command that has one of its own. */
export function buildProgram(env: CliEnv, setCode: (code: number) => void, signal: AbortSignal): Command {
  const program = new Command('switchyard')
    .description('Deploy folders to your own Switchyard, and look after what runs there.')
    .version(cliVersion, '-V, --version', 'version of this command')
    .showSuggestionAfterError()
    .enablePositionalOptions()
  api(program.command('login').description('keep an API key for the commands that follow')).action((options) => login(env, options))
  program
    .command('logout')
    .description('forget the API key')
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
    .option('--force', 'write it anew')
    .option('--json', jsonHelp)
    .action((dir: string | undefined, options) => init(env, dir ?? '.', options))
  project(program.command('link [dir]').description('remember which project a folder belongs to')).action((dir: string | undefined, options) =>
    linkFolder(env, dir ?? '.', options),
  )
  project(program.command('deploy [dir]').description('bring a folder live and wait for it; the project is made when it is missing'))
    .option('--link', 'remember the project for this folder')
    .option('--no-cache', 'build anew: no result, no installed package and no cache of earlier builds is used')
    .option('--wait-for-turn', 'while another deployment of the project runs, wait for its end instead of being refused')
    .action(async (dir: string | undefined, options) => setCode(await deploy(env, dir ?? '.', options)))
  project(program.command('logs [deploymentId]').description('lines of a deployment: its build and its app; default: the newest of the project'))
    .option('-f, --follow', 'stay until the app no longer serves')
    .option('--tail <lines>', 'only the last lines')
    .action((id: string | undefined, options) => logs(env, id, options, signal))
  project(program.command('requests').description('what visitors asked for: all errors, a sample of the rest; all of them while following'))
    .option('-f, --follow', 'stay, and show requests as they come')
    .option('--status <status>', 'a status (404) or a class (5xx)')
    .option('--path <text>', 'part of path or query')
    .addOption(new Option('--limit <n>', 'requests shown to begin with, at most 200').default('50'))
    .action((options) => requests(env, options, signal))
  api(program.command('ls [project]').description('list projects, or the deployments of one'))
    .addOption(new Option('--limit <n>', 'deployments shown').default('20'))
    .addOption(
      new Option('--status <status>', 'of one project: those in this status').choices(reachedDeploymentStatuses.map((one) => one.toLowerCase())),
    )
    .action((named: string | undefined, options) => list(env, named, options))
  project(program.command('cancel [deploymentId]').description('stop a running deployment; what is live stays live')).action(
    (id: string | undefined, options) => cancel(env, id, options, signal),
  )
  const several = (value: string, before: string[]) => [...before, value]
  project(program.command('purge').description('have the routers forget the answers they keep of a project; without options all of them'))
    .option('--tag <tag>', 'those the app tagged so (Cache-Tag, Surrogate-Key); may be repeated', several, [])
    .option('--path <path>', 'those of this path, or all that begin so: "/blog/*"; may be repeated', several, [])
    .action((options) => purge(env, options))
  const cache = program.command('cache').description('what builds of a project keep to be faster')
  project(cache.command('clear').description('remove it: the next build begins from nothing; prints the bytes that frees'))
    .option('-y, --yes', 'without asking')
    .action((options) => clearCache(env, options))
  api(program.command('open [project]').description('print the address of a project, and show it in a browser')).action(
    (named: string | undefined, options) => openProject(env, named, options),
  )
  addVariables(program, env)
  addDomains(program, env, signal)
  addCertificates(program, env)
  return program
}

function addVariables(program: Command, env: CliEnv): void {
  const variables = program.command('env').description('variables of a project; values can be set, never read')
  project(variables.command('ls').description('names and scopes')).action((options) => listVariables(env, options))
  project(
    variables
      .command('set [assignment]')
      .description('KEY with the value on standard input; KEY=VALUE, which the list of processes shows; or --file'),
  )
    .addOption(new Option('--scope <scope>', 'where it is visible').choices(['build', 'runtime', 'both']).default('both'))
    .option('--file <file>', 'set all variables of a file of KEY=VALUE lines, such as .env')
    .action((assignment: string | undefined, options) => setVariables(env, assignment, options))
  project(variables.command('rm <key>').description('remove one')).action((key: string, options) => removeVariable(env, key, options))
}

const listed = (command: Command) =>
  command.option('--search <text>', 'with this in the name').option('--limit <n>', 'no more than so many; default: all')

function addDomains(program: Command, env: CliEnv, signal: AbortSignal): void {
  const domains = program.command('domains').description('custom domains of a project: what to set in DNS, and what is found there')
  listed(project(domains.command('ls', { isDefault: true }).description('domains with their state'))).action((options) => listDomains(env, options))
  const waiting = (command: Command) =>
    command.option('--wait', 'until it is verified and has its certificate').option('--timeout <seconds>', 'how long to wait', '900')
  waiting(project(domains.command('add <hostname>').description('add one; prints the records to set')))
    .option('--redirect-to <hostname>', 'another domain of the project, to which all requests go')
    .option('--environment <name>', 'default: production')
    .option('--branch <name>', 'serve the newest deployment of this branch')
    .action((hostname: string, options) => addDomain(env, hostname, options, signal))
  waiting(api(domains.command('check <hostname>').description('examine its DNS and reachability now'))).action(async (hostname: string, options) =>
    checkDomain(env, hostname, options, signal),
  )
  api(domains.command('inspect <hostname>').description('records to set, what was found, its certificate')).action((hostname: string, options) =>
    inspectDomain(env, hostname, options),
  )
  const switches = ['on', 'off']
  api(domains.command('set <hostname>').description('change what visitors of it get; what is not named stays'))
    .option('--redirect-to <hostname>', 'another domain of the project, or none')
    .option('--environment <name>', 'serve what is live in this environment')
    .option('--branch <name>', 'serve the newest deployment of this branch, or none')
    .addOption(new Option('--https-redirect <switch>', 'send visitors from HTTP to HTTPS').choices(switches))
    .option('--hsts-seconds <n>', 'for how long browsers remember HTTPS; 0 takes it back')
    .addOption(new Option('--certificate <mode>', 'where it comes from; off: HTTP alone').choices(['automatic', 'uploaded', 'off']))
    .action((hostname: string, { httpsRedirect: https, hstsSeconds: hsts, ...options }) => setDomain(env, hostname, { ...options, https, hsts }))
  api(domains.command('rm <hostname>').description('take it away: it is not served any more'))
    .option('-y, --yes', 'without asking')
    .action((hostname: string, options) => removeDomain(env, hostname, options))
}

function addCertificates(program: Command, env: CliEnv): void {
  const certificates = program.command('certs').description('certificates of domains: automatic ones, and your own')
  listed(project(certificates.command('ls', { isDefault: true }).description('certificates with state, end and next renewal')))
    .option('-a, --all', 'of the whole team')
    .action((options) => listCertificates(env, options))
  api(certificates.command('inspect <domain>').description('why it is in its state, and the latest attempts')).action((domain: string, options) =>
    inspectCertificate(env, domain, options),
  )
  api(certificates.command('renew <domain>').description('ask for it, or renew it, now')).action((domain: string, options) =>
    renewCertificate(env, domain, options),
  )
  api(certificates.command('upload <domain>').description('serve a domain with a certificate of your own'))
    .requiredOption('--cert <file>', 'certificate as PEM, with its intermediates')
    .requiredOption('--key <file>', 'private key as PEM, without a passphrase')
    .option('--chain <file>', 'intermediates, when they are in a file of their own')
    .action((domain: string, options) => uploadCertificate(env, domain, options))
  api(certificates.command('rm <domain>').description('take an uploaded certificate away; an automatic one takes its place'))
    .option('-y, --yes', 'without asking')
    .action((domain: string, options) => removeCertificate(env, domain, options))
}

function exitOverride(command: Command): void {
  command.exitOverride()
  for (const sub of command.commands) exitOverride(sub)
}

/** Runs one command line. @returns the exit code: 0 done, 1 failed, 2 called wrongly, 130 interrupted. */
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
  // `deploy` listens for itself: it has something to cancel.
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
