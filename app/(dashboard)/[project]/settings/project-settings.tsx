'use client'
import { Webhook } from 'lucide-react'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useProject } from '../use-project'
import { BuildCache } from './build-cache'
import { DeleteProject } from './delete-project'
import { DeployHooks } from './deploy-hooks'
import { GitWebhook } from './git-webhook'
import { PurgeCache } from './purge-cache'
import { RuntimeSettingsForm } from './runtime-settings-form'
import { RuntimeWeakness } from './runtime-weakness'
import { SettingsForm } from './settings-form'

/** Settings of a project: source, build, runtime, Git events, caches, deletion. */
export function ProjectSettings() {
  const project = useProject()
  return (
    <>
      <PageTitle
        title="Settings"
        description="Changes take effect with the next deployment."
        actions={
          <Button asChild>
            <PageLink href={paths.webhooks(project.slug)}>
              <Webhook /> Webhooks
            </PageLink>
          </Button>
        }
      />
      <div className="flex max-w-3xl flex-col gap-6">
        <RuntimeWeakness />
        <RefusalNote action="project.update" />
        <Permitted action="project.update">
          <SettingsForm
            project={project}
            title="General"
            fields={[
              { name: 'name', label: 'Name', required: true, maxLength: 100, hint: `Its address stays ${project.url.replace(/^https?:\/\//, '')}.` },
            ]}
          />
          <SettingsForm
            project={project}
            title="Source"
            paired
            description="The repository that deployments from Git use."
            fields={[
              {
                name: 'repository',
                className: 'sm:col-span-2',
                label: 'Git repository',
                mono: true,
                placeholder: 'https://github.com/you/app.git',
                hint: project.repositoryCredentials
                  ? 'A password or token for the repository is stored encrypted. Removing the address removes it.'
                  : 'Leave empty when you deploy folders with the CLI. A token may stand before the host: https://user:token@host/app.git.',
              },
              { name: 'branch', label: 'Branch', mono: true, placeholder: 'Default branch of the repository' },
              { name: 'rootDirectory', label: 'Root directory', mono: true, placeholder: './', hint: 'Folder of the app inside the repository.' },
              {
                name: 'submodules',
                label: 'Submodules',
                choices: { fetch: 'Fetch', ignore: 'Leave the folders empty' },
                hint: 'A deployment fails if a submodule cannot be fetched.',
              },
              {
                name: 'lfs',
                label: 'Git LFS',
                choices: { fetch: 'Fetch the files', ignore: 'Leave pointer files' },
                hint: 'Holds for uploaded folders, too: pointer files fail the deployment.',
              },
            ]}
          />
          <SettingsForm
            project={project}
            title="Build and start"
            paired
            description="Empty fields are detected from the source."
            fields={[
              { name: 'installCommand', label: 'Install command', mono: true, placeholder: 'As detected' },
              { name: 'buildCommand', label: 'Build command', mono: true, placeholder: 'As detected' },
              { name: 'outputDirectory', label: 'Output directory', mono: true, placeholder: 'As detected' },
              { name: 'startCommand', label: 'Start command', mono: true, placeholder: 'As detected' },
            ]}
          />
          <SettingsForm
            project={project}
            title="Health check"
            description="A new version gets traffic only after this check passes."
            fields={[
              {
                name: 'healthCheckPath',
                label: 'Path',
                mono: true,
                placeholder: '/',
                pattern: '/.*',
                hint: 'With a custom path, only statuses 200 to 399 count as healthy. Without a path, any status below 500.',
              },
            ]}
          />
          <RuntimeSettingsForm project={project} />
        </Permitted>
        <GitWebhook project={project} />
        <DeployHooks project={project} />
        <BuildCache project={project} />
        <PurgeCache project={project} />
        <DeleteProject project={project} />
      </div>
    </>
  )
}
