import type { Metadata } from 'next'
import { Logo } from '@/app/components/logo'
import { Button } from '@/app/components/ui/button'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'

export const metadata: Metadata = { title: 'Not found' }

export default function NotFound() {
  return (
    <main className="grid min-h-dvh place-items-center px-6">
      <div className="flex max-w-sm flex-col items-center text-center">
        <Logo className="mb-6 size-9" />
        <p className="font-mono text-faint text-sm">404</p>
        <h1 className="mt-1 font-semibold text-xl">Page not found</h1>
        <p className="mt-2 text-balance text-muted">It may have been removed, or it belongs to a team you are not a member of.</p>
        <Button asChild variant="primary" className="mt-6">
          <PageLink href={paths.home}>Go to your projects</PageLink>
        </Button>
      </div>
    </main>
  )
}
