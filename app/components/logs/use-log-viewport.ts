'use client'
import { type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import type { BufferedLine } from './log-buffer'
import { layoutRows, lineAtRow, rowHeight, timeColumns, timedFromPx } from './row-layout'

const overscan = 12
const endSlackPx = 24
/** Padding of the number column and of the right side, in px: 1.75rem + 1rem. */
const chromePx = 44

/** Width of one character of the log's font. */
function measureCharacter(container: HTMLElement): number {
  const probe = document.createElement('span')
  probe.textContent = '0'.repeat(100)
  probe.style.cssText = 'position:absolute;visibility:hidden;white-space:pre'
  container.append(probe)
  const width = probe.getBoundingClientRect().width / 100
  probe.remove()
  return width || 8
}

/** Renders only visible lines, and scrolls to the end while the log follows. */
export function useLogViewport(container: RefObject<HTMLDivElement | null>, lines: readonly BufferedLine[], numberWidth: number) {
  const [box, setBox] = useState({ width: 0, height: 0, character: 8 })
  const [scrollTop, setScrollTop] = useState(0)
  const [following, setFollowing] = useState(true)
  // Ignore scroll events caused by programmatic scrolling.
  const ownTop = useRef(-1)

  useLayoutEffect(() => {
    const element = container.current
    if (!element) return
    const measure = () => setBox({ width: element.clientWidth, height: element.clientHeight, character: measureCharacter(element) })
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    // The log's font may load after the first measurement.
    void document.fonts?.ready.then(measure)
    return () => observer.disconnect()
  }, [container])

  const timed = box.width >= timedFromPx
  const columns = Math.floor((box.width - chromePx) / box.character) - numberWidth - (timed ? timeColumns : 0)
  const starts = useMemo(() => layoutRows(lines, columns), [lines, columns])
  const totalHeight = (starts[lines.length] ?? 0) * rowHeight

  const scrollTo = useCallback(
    (top: number) => {
      const element = container.current
      if (!element) return
      element.scrollTop = top
      ownTop.current = element.scrollTop
      setScrollTop(element.scrollTop)
    },
    [container],
  )

  useLayoutEffect(() => {
    if (following) scrollTo(totalHeight)
  }, [following, totalHeight, scrollTo])

  useEffect(() => {
    const element = container.current
    if (!element) return
    const onScroll = () => {
      setScrollTop(element.scrollTop)
      if (Math.abs(element.scrollTop - ownTop.current) < 1) return
      setFollowing(element.scrollHeight - element.clientHeight - element.scrollTop < endSlackPx)
    }
    element.addEventListener('scroll', onScroll, { passive: true })
    return () => element.removeEventListener('scroll', onScroll)
  }, [container])

  const showLine = useCallback(
    (index: number) => {
      setFollowing(false)
      scrollTo(Math.max(0, (starts[index] ?? 0) * rowHeight - box.height / 3))
    },
    [starts, box.height, scrollTo],
  )

  const first = Math.max(0, lineAtRow(starts, Math.floor(scrollTop / rowHeight)) - overscan)
  const last = Math.min(lines.length, lineAtRow(starts, Math.ceil((scrollTop + box.height) / rowHeight)) + 1 + overscan)
  return { starts, timed, first, last, totalHeight, following, setFollowing, showLine }
}
