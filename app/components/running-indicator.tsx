'use client'
import { useQuery } from '@tanstack/react-query'
import { useParams } from 'next/navigation'
import { useEffect } from 'react'
import { useTRPC } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'

const runningIcon = '/icon-running.svg'

/** Puts `prefix` before the page's title and keeps it there when a navigation changes the title. Returns the function that removes it. */
function keepTitlePrefix(prefix: string): () => void {
  const apply = () => {
    if (!document.title.startsWith(prefix)) document.title = prefix + document.title
  }
  apply()
  const observer = new MutationObserver(apply)
  observer.observe(document.head, { childList: true, subtree: true, characterData: true })
  return () => {
    observer.disconnect()
    if (document.title.startsWith(prefix)) document.title = document.title.slice(prefix.length)
  }
}

function showRunningIcon(): () => void {
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
  const before = icon?.getAttribute('href')
  icon?.setAttribute('href', runningIcon)
  return () => {
    if (before) icon?.setAttribute('href', before)
  }
}

/** Shows in the title and the icon of the page that a deployment runs: of the project on its pages, of any project elsewhere. */
export function RunningIndicator() {
  const trpc = useTRPC()
  const { data: projects } = useQuery(trpc.projects.list.queryOptions())
  const { project: named } = useParams<{ project?: string }>()
  const shown = projects?.filter(({ slug, id }) => named === undefined || slug === named || id === named) ?? []
  const running = shown.flatMap(({ latestDeployment: latest }) => (latest && deploymentTraits[latest.status].running ? [latest] : []))
  const label = running[0] ? deploymentTraits[running[0].status].label : null
  const prefix = running.length > 1 ? `${running.length} running · ` : label ? `${label} · ` : null
  useEffect(() => (prefix === null ? undefined : keepTitlePrefix(prefix)), [prefix])
  useEffect(() => (prefix === null ? undefined : showRunningIcon()), [prefix])
  return null
}
