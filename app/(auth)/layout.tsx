import type { ReactNode } from 'react'
import { Logo } from '@/app/components/logo'

export default function AuthLayout({ children }: { children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center justify-center gap-2.5">
          <Logo className="size-7" />
          <span className="font-semibold text-lg tracking-tight">Switchyard</span>
        </div>
        {children}
      </div>
    </main>
  )
}
