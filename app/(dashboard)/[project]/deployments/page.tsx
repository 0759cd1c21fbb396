import type { Metadata } from 'next'
import { ProjectDeployments } from './project-deployments'

export const metadata: Metadata = { title: 'Deployments' }

export default function ProjectDeploymentsPage() {
  return <ProjectDeployments />
}
