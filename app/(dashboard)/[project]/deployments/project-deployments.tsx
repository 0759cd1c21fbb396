'use client'
import { Rocket } from 'lucide-react'
import { DeploymentList } from '@/app/components/deployment-list'
import { PageTitle } from '@/app/components/page-title'
import { Button } from '@/app/components/ui/button'
import { useDeploy } from '@/app/components/use-deploy'
import { useProject } from '../use-project'

/** All deployments of a project. */
export function ProjectDeployments() {
  const project = useProject()
  const { deploy, pending } = useDeploy()
  return (
    <>
      <PageTitle
        title="Deployments"
        actions={
          <Button variant="primary" pending={pending} onClick={() => deploy(project.id)}>
            <Rocket /> Deploy
          </Button>
        }
      />
      <DeploymentList projectId={project.id} />
    </>
  )
}
