import type { RestAnswer } from '@/server/api/rest/client-types'
import { Client } from '../client'
import { type ApiOptions, defaultApi, givenToken, normalizeApi, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ask } from '../prompt'
import { readSignIn, removeSignIn, writeSignIn } from '../settings'
import { Progress } from '../terminal'

/** Checks an API key and stores it for later commands. */
export async function login(env: CliEnv, options: ApiOptions): Promise<void> {
  const preset = options.api ?? env.api ?? (await readSignIn(env.configDirectory))?.api ?? defaultApi
  const progress = new Progress()
  const given = await givenToken(env, options, progress)
  const interactive = options.api === undefined && env.api === null && !given
  const api = normalizeApi(
    interactive ? await ask('Address of the dashboard', { preset, instead: `Give --api ${defaultApi} --token-file FILE` }) : preset,
  )
  const token =
    given ?? (await ask(`API key (${api}, Settings → API keys)`, { hidden: true, instead: 'Give it by SWITCHYARD_TOKEN or --token-file FILE.' }))
  if (!token) throw new UsageError('No key was given.', `Make one in the dashboard: ${api}, Settings → API keys`)
  const me = await new Client({ api, token }).call<RestAnswer<'GET /me'>>('/me')
  const file = await writeSignIn(env.configDirectory, { api, token })
  if (options.json) return printResult({ api, user: me.user.name ?? me.user.email, team: me.team.name, role: me.team.role })
  progress.done(`Signed in to ${api} as ${me.user.name ?? me.user.email ?? me.user.id}`, `team ${me.team.name}, key stored in ${file}`)
}

/** Deletes the stored key. The key stays valid until it is revoked in the dashboard. */
export async function logout(env: CliEnv): Promise<void> {
  const removed = await removeSignIn(env.configDirectory)
  new Progress().done(removed ? 'Signed out; the key stays valid until it is revoked in the dashboard.' : 'You were not signed in.')
}
