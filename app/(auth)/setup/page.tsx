import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { paths } from '@/app/lib/paths'
import { isSetupNeeded } from '@/app/lib/trpc-server'
import { SetupForm } from './setup-form'

export const metadata: Metadata = { title: 'Set up' }

export default async function SetupPage() {
  if (!(await isSetupNeeded())) redirect(paths.login)
  return <SetupForm />
}
