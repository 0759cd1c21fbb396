'use client'
import { useQuery } from '@tanstack/react-query'
import { useParams } from 'next/navigation'
import { useEffect } from 'react'
import { useTRPC } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'

const runningIcon = '/icon-running.svg'

/**
 * Puts `prefix` before the title, and another icon in place of the page's. A navigation writes both anew, so changes of the head are watched.
 * Returns the function that restores them.
 */
function markPage(prefix: string): () => void {
  let replaced: string | null = null
  const apply = () => {
    if (!document.title.startsWith(prefix)) document.title = prefix + document.title
    for (const icon of document.querySelectorAll<HTMLLinkElement>('link[rel="icon"]')) {
      const href = icon.getAttribute('href')
      if (href === null || href === runningIcon) continue
      replaced = href
      icon.setAttribute('href', runningIcon)
    }
  }
  apply()
  const observer = new MutationObserver(apply)
  observer.observe(document.head, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ['href'] })
  return () => {
    observer.disconnect()
    if (document.title.startsWith(prefix)) document.title = document.title.slice(prefix.length)
    for (const icon of document.querySelectorAll(`link[rel="icon"][href="${runningIcon}"]`)) icon.setAttribute('href', replaced ?? '/icon.svg')
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
  useEffect(() => (prefix === null ? undefined : markPage(prefix)), [prefix])
  return null
}
