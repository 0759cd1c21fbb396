import type { Metadata } from 'next'
import { DeploymentList } from '@/app/components/deployment-list'
import { PageTitle } from '@/app/components/page-title'

export const metadata: Metadata = { title: 'Deployments' }

export default function DeploymentsPage() {
  return (
    <>
      <PageTitle title="Deployments" description="All deployments of all projects, newest first." />
      <DeploymentList />
    </>
  )
}
