'use client'
import { useQuery } from '@tanstack/react-query'
import type { inferRouterOutputs } from '@trpc/server'
import type { AppRouter } from '@/server/api/router'
import { useTRPC } from './trpc'

type Me = inferRouterOutputs<AppRouter>['me']['get']
/** Name of an action in the permission table. */
export type Action = keyof Me['refused']

const articles: Record<Me['team']['role'], string> = { owner: 'an owner', admin: 'an admin', member: 'a member' }

/** Why the signed-in person lacks the permission, as a sentence; null: permitted. The server enforces it as well. */
export function useRefusal(action: Action): string | null {
  const trpc = useTRPC()
  const { data: me } = useQuery(trpc.me.get.queryOptions())
  const needed = me?.refused[action]
  if (!me || !needed) return null
  const who = needed === 'owner' ? 'Only owners of the team' : 'Only admins and owners of the team'
  return `${who} can do this, and you are ${articles[me.team.role]}. Ask one of them: they are listed in Settings.`
}
