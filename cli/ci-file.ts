import { createHash } from 'node:crypto'

export const ciProviders = ['github', 'gitlab', 'bitbucket'] as const
export type CiProvider = (typeof ciProviders)[number]

export interface CiSettings {
  /** Name or slug of the project. */
  project: string
  /** Branch of production. */
  branch: string
  /** Folder to deploy, relative to the repository. */
  folder: string
  doppler: boolean
  /** Stage of the jobs in GitLab. */
  stage: string
}

/** A secret that the CI file reads, and where its value comes from. */
export interface CiSecret {
  name: string
  value: string
}

export const ciFiles = {
  github: { file: '.github/workflows/switchyard.yml', settings: 'Settings → Secrets and variables → Actions', render: github },
  gitlab: { file: '.gitlab-ci.yml', settings: 'Settings → CI/CD → Variables (masked, not protected: merge requests need them)', render: gitlab },
  bitbucket: { file: 'bitbucket-pipelines.yml', settings: 'Repository settings → Repository variables (secured)', render: bitbucket },
} as const satisfies Record<CiProvider, { file: string; settings: string; render: (settings: CiSettings) => string }>

const commentTokens: Record<CiProvider, CiSecret[]> = {
  // GitHub makes a token for each run.
  github: [],
  gitlab: [{ name: 'GITLAB_TOKEN', value: 'a project access token with the scope api, to comment on merge requests' }],
  bitbucket: [{ name: 'BITBUCKET_TOKEN', value: 'a repository access token that may write pull requests, to comment on them' }],
}

/** The secrets to set at the provider. */
export function secretsOf(provider: CiProvider, { doppler }: Pick<CiSettings, 'doppler'>): CiSecret[] {
  return [
    { name: 'SWITCHYARD_API', value: 'the address of the dashboard' },
    { name: 'SWITCHYARD_TOKEN', value: `an API key; the role ${doppler ? 'admin' : 'member'} is enough once the project exists` },
    ...commentTokens[provider],
    ...(doppler ? [{ name: 'DOPPLER_TOKEN', value: 'a service token of the Doppler config of production' }] : []),
  ]
}

const header = '# Written by "switchyard generate-ci". A file that was changed is not overwritten without asking.'
const hashLine = /^# Content: sha256:([0-9a-f]{64})$/
const hashOf = (body: string): string => createHash('sha256').update(body).digest('hex')

/** The text of the file: a header with the hash of what follows. */
export function renderCiFile(provider: CiProvider, settings: CiSettings): string {
  const body = ciFiles[provider].render(settings)
  return `${header}\n# Content: sha256:${hashOf(body)}\n${body}`
}

/** Whether `renderCiFile` made the text, changed since or not. */
export const isGenerated = (text: string): boolean => text.startsWith(header)

/** Whether the file is unchanged since `renderCiFile` generated it, with any settings. Line ends are ignored, because Git may convert them. */
export function isUnchanged(text: string): boolean {
  const [, second = '', ...body] = text.replaceAll('\r\n', '\n').split('\n')
  return hashLine.exec(second)?.[1] === hashOf(body.join('\n'))
}

/** In single quotes, as every shell reads it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const indented = (lines: string[], spaces: number): string => lines.map((line) => (line === '' ? '' : ' '.repeat(spaces) + line)).join('\n')

const command = `npx --yes "\${SWITCHYARD_API%/}/cli.tgz"`
const requireSecrets = (...names: string[]): string => `: ${names.map((name) => `"\${${name}:?Set ${name}}"`).join(' ')}`

/** Sets the variables of production. The token is on no command line, where other processes could read it. */
const fromDoppler = (project: string): string[] => [
  'secrets=$(mktemp)',
  `trap 'rm -f "$secrets"' EXIT`,
  `printf 'header = "Authorization: Bearer %s"\\n' "$DOPPLER_TOKEN" |`,
  `  curl --fail --silent --show-error --max-time 60 --config - --output "$secrets" 'https://api.doppler.com/v3/configs/config/secrets/download?format=json'`,
  `${command} env set --file "$secrets" --project ${quoted(project)}`,
]

function production({ project, folder, doppler }: CiSettings): string[] {
  return [
    'set -e',
    requireSecrets('SWITCHYARD_API', 'SWITCHYARD_TOKEN', ...(doppler ? ['DOPPLER_TOKEN'] : [])),
    ...(doppler ? fromDoppler(project) : []),
    `${command} deploy ${quoted(folder)} --project ${quoted(project)} --wait-for-turn`,
  ]
}

/** `pullRequest`, `branch`: the variables of the provider that hold them. */
function preview({ project, folder }: CiSettings, pullRequest: string, branch: string): string[] {
  return [
    'set -e',
    requireSecrets('SWITCHYARD_API', 'SWITCHYARD_TOKEN'),
    `${command} deploy ${quoted(folder)} --project ${quoted(project)} --pull-request "$${pullRequest}" --branch "$${branch}" --comment --wait-for-turn`,
  ]
}

function github(settings: CiSettings): string {
  const secret = (name: string) => `${name}: \${{ secrets.${name} }}`
  const secrets = ['SWITCHYARD_API', 'SWITCHYARD_TOKEN']
  return `name: Switchyard

on:
  push:
    branches: ['${settings.branch}']
  pull_request:

permissions: {}

# A newer push replaces what waits; of a pull request also what runs.
concurrency:
  group: switchyard-\${{ github.event.pull_request.number || github.ref }}
  cancel-in-progress: \${{ github.event_name == 'pull_request' }}

jobs:
  production:
    if: github.event_name == 'push' && !github.event.repository.fork
    runs-on: ubuntu-latest
    timeout-minutes: 60
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - name: Deploy
        env:
${indented([...secrets, ...(settings.doppler ? ['DOPPLER_TOKEN'] : [])].map(secret), 10)}
        run: |
${indented(production(settings), 10)}

  preview:
    # Nothing runs for pull requests from forks, or from Dependabot: they get no secrets.
    if: >-
      github.event_name == 'pull_request' &&
      github.event.pull_request.head.repo.full_name == github.repository &&
      github.actor != 'dependabot[bot]'
    runs-on: ubuntu-latest
    timeout-minutes: 60
    permissions:
      contents: read
      # For the comment.
      pull-requests: write
    steps:
      - uses: actions/checkout@v4
        with:
          ref: \${{ github.event.pull_request.head.sha }}
          persist-credentials: false
      - name: Deploy the preview
        env:
${indented(secrets.map(secret), 10)}
          GITHUB_TOKEN: \${{ github.token }}
          PULL_REQUEST: \${{ github.event.pull_request.number }}
          BRANCH: \${{ github.event.pull_request.head.ref }}
        run: |
${indented(preview(settings, 'PULL_REQUEST', 'BRANCH'), 10)}
`
}

function gitlab(settings: CiSettings): string {
  const { stage, branch } = settings
  return `switchyard production:
  stage: '${stage}'
  image: node:24
  timeout: 60 minutes
  resource_group: switchyard-production
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "${branch}"
  script:
    - |
${indented(production(settings), 6)}

switchyard preview:
  stage: '${stage}'
  image: node:24
  timeout: 60 minutes
  interruptible: true
  resource_group: switchyard-$CI_MERGE_REQUEST_IID
  # Nothing runs for merge requests from forks: they get no secrets.
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID
  script:
    - |
${indented(preview(settings, 'CI_MERGE_REQUEST_IID', 'CI_MERGE_REQUEST_SOURCE_BRANCH_NAME'), 6)}
`
}

function bitbucket(settings: CiSettings): string {
  return `image: node:24

pipelines:
  branches:
    '${settings.branch}':
      - step:
          name: Deploy
          max-time: 60
          script:
            - |
${indented(production(settings), 14)}
  # Bitbucket starts no pipeline for pull requests from forks.
  pull-requests:
    '**':
      - step:
          name: Deploy the preview
          max-time: 60
          script:
            - |
${indented(preview(settings, 'BITBUCKET_PR_ID', 'BITBUCKET_BRANCH'), 14)}
`
}
