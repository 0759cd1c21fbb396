'use client'
import { useSyncExternalStore } from 'react'
import { CommandLine } from '@/app/components/ui/copy-button'

const never = () => () => {}

/** CLI commands that deploy a folder, with the address of this installation. */
export function CliHelp({ project }: { project?: string }) {
  const origin = useSyncExternalStore(
    never,
    () => window.location.origin,
    () => 'http://localhost:3000',
  )
  return (
    <div className="flex flex-col gap-2">
      <CommandLine command={`npm install -g ${origin}/cli.tgz`} />
      <CommandLine command={`switchyard login --api ${origin}`} />
      <CommandLine command={`switchyard deploy .${project ? ` --project ${project}` : ''}`} />
    </div>
  )
}
