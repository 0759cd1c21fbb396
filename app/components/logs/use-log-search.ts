'use client'
import { useDeferredValue, useMemo, useState } from 'react'
import type { BufferedLine } from './log-buffer'

/** Case-insensitive search in the log lines, with navigation between matches. */
export function useLogSearch(lines: readonly BufferedLine[]) {
  const [query, setQuery] = useState('')
  const [position, setPosition] = useState(-1)
  const wanted = useDeferredValue(query.trim().toLowerCase())
  const matches = useMemo(() => {
    if (!wanted) return []
    const found: number[] = []
    for (let index = 0; index < lines.length; index++) if (lines[index]?.plain.toLowerCase().includes(wanted)) found.push(index)
    return found
  }, [lines, wanted])
  const at = matches.length === 0 ? -1 : Math.min(position, matches.length - 1)
  return {
    query,
    wanted,
    matches,
    /** Index of the current match; -1 before the first move and without matches. */
    at,
    search: (text: string) => {
      setQuery(text)
      setPosition(-1)
    },
    /** Moves by `step` matches and returns the index of the line to show. */
    move: (step: 1 | -1): number | undefined => {
      if (matches.length === 0) return undefined
      const next = at === -1 && step === -1 ? matches.length - 1 : (at + step + matches.length) % matches.length
      setPosition(next)
      return matches[next]
    },
  }
}
