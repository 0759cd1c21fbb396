'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { Status } from '@/app/components/ui/status'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { type ForgeProvider, type ForgeView, forgeLabels, forgeProviders } from '@/shared/forges'
import type { ProjectView } from '@/shared/views'

function Connection({ connection }: { connection: ForgeView }) {
  const { provider, repository, problem } = connection
  return (
    <div className="flex flex-col gap-3">
      <p className="flex flex-wrap items-center gap-x-3">
        <Status tone={problem ? 'bad' : 'good'} label={problem ? 'Reports fail' : 'Connected'} />
        <span className="wrap-anywhere">
          {forgeLabels[provider]} · {repository}
        </span>
      </p>
      {problem ? <ErrorPanel error={problem} /> : null}
    </div>
  )
}

/** Connection to the API of the Git host, by which commits and requests show how their deployments went. */
export function GitConnection({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const { data, error } = useQuery(trpc.forges.get.queryOptions({ project: project.id }))
  const connection = data?.connection ?? null
  const [provider, setProvider] = useState<ForgeProvider | null>(null)
  const shown = provider ?? connection?.provider ?? 'github'
  const changed = () => queryClient.invalidateQueries({ queryKey: trpc.forges.pathKey() })
  const set = useMutation(
    trpc.forges.set.mutationOptions({
      onSuccess: async () => {
        toast.success('Deployments are reported to the Git host from now on')
        await changed()
      },
    }),
  )
  const remove = useMutation(
    trpc.forges.remove.mutationOptions({
      onSuccess: async () => {
        toast.success('Connection removed, token deleted')
        await changed()
      },
      onError: notifyFailure,
    }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const field = (name: string) => String(new FormData(form).get(name)).trim()
    const optional = { ...(field('repository') ? { repository: field('repository') } : {}), ...(field('apiUrl') ? { apiUrl: field('apiUrl') } : {}) }
    set.mutate({ project: project.id, provider: shown, token: field('token'), ...optional }, { onSuccess: () => form.reset() })
  }
  return (
    <Card>
      <CardHeader
        title="Reports to the Git host"
        description="Commit statuses, one comment per pull request, and deployments, by a token of this project."
      />
      <RefusalNote action="forge.write" className="mx-4 mb-4 sm:mx-5" />
      <Permitted action="forge.write">
        <form onSubmit={submit}>
          <div className="grid grid-cols-1 gap-4 px-4 pb-5 sm:grid-cols-2 sm:px-5">
            {error ? <ErrorPanel className="col-span-full" error={wireErrorOf(error)} /> : null}
            {connection ? (
              <div className="col-span-full">
                <Connection connection={connection} />
              </div>
            ) : null}
            <SelectField label="Git host" value={shown} onChange={(event) => setProvider(event.target.value as ForgeProvider)}>
              {forgeProviders.map((each) => (
                <option key={each} value={each}>
                  {forgeLabels[each]}
                </option>
              ))}
            </SelectField>
            <TextField
              label="Repository"
              name="repository"
              mono
              placeholder={connection?.repository ?? 'owner/name'}
              hint="Empty: as in the repository address of the project."
              autoComplete="off"
            />
            <TextField
              label="Token"
              name="token"
              type="password"
              mono
              required
              hint="May write commit statuses, comments and deployments. Stored encrypted and never shown."
              autoComplete="off"
            />
            <TextField
              label="Address of the API"
              name="apiUrl"
              type="url"
              mono
              placeholder={connection?.apiUrl ?? 'As of the public host'}
              hint="Only for a host of your own."
              autoComplete="off"
            />
            {set.error ? <ErrorPanel className="col-span-full" error={wireErrorOf(set.error)} /> : null}
          </div>
          <CardFooter className="justify-end">
            {connection ? (
              <Button variant="dangerOutline" pending={remove.isPending} onClick={() => remove.mutate({ project: project.id })}>
                Remove
              </Button>
            ) : null}
            <Button type="submit" variant="primary" pending={set.isPending}>
              {connection ? 'Replace token' : 'Connect'}
            </Button>
          </CardFooter>
        </form>
      </Permitted>
    </Card>
  )
}
