'use client'
import { useEffect, useState } from 'react'

/** Asks the app's own API route once a second, so that a visitor sees the server answer. */
export function Clock() {
  const [time, setTime] = useState('…')
  useEffect(() => {
    let stopped = false
    const ask = async () => {
      try {
        const { now } = await (await fetch('/api/time', { cache: 'no-store' })).json()
        if (!stopped) setTime(now.slice(11, 19) + ' UTC')
      } catch {
        if (!stopped) setTime('no answer')
      }
    }
    ask()
    const timer = setInterval(ask, 1000)
    return () => {
      stopped = true
      clearInterval(timer)
    }
  }, [])
  return <output>{time}</output>
}
