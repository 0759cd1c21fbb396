import type { Metadata } from 'next'
import { ProjectSettings } from './project-settings'

export const metadata: Metadata = { title: 'Settings' }

export default function ProjectSettingsPage() {
  return <ProjectSettings />
}
