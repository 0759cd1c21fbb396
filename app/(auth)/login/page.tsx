import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { paths } from '@/app/lib/paths'
import { isSetupNeeded, isSignedIn } from '@/app/lib/trpc-server'
import { LoginForm } from './login-form'

export const metadata: Metadata = { title: 'Sign in' }

/** Only a path of this very site: anything else in `?next=` would be an open redirect. */
function safePath(next: string | string[] | undefined): string {
  return typeof next === 'string' && /^\/(?![/\\])/.test(next) ? next : paths.home
}

export default async function LoginPage({ searchParams }: { searchParams: Promise<{ next?: string | string[] }> }) {
  if (await isSetupNeeded()) redirect(paths.setup)
  const next = safePath((await searchParams).next)
  if (await isSignedIn()) redirect(paths.home)
  return <LoginForm next={next} />
}
