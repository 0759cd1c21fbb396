import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { ownPage } from '@/app/lib/next-page'
import { paths } from '@/app/lib/paths'
import { isSetupNeeded, isSignedIn } from '@/app/lib/trpc-server'
import { LoginForm } from './login-form'

export const metadata: Metadata = { title: 'Sign in' }

export default async function LoginPage({ searchParams }: { searchParams: Promise<{ next?: string | string[] }> }) {
  if (await isSetupNeeded()) redirect(paths.setup)
  const next = ownPage((await searchParams).next) ?? paths.home
  if (await isSignedIn()) redirect(paths.home)
  return <LoginForm next={next} />
}
