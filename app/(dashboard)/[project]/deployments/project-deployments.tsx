'use client'
import { Rocket } from 'lucide-react'
import { BuildOptions } from '@/app/components/build-options'
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
        description={project.repository ? undefined : 'Deployed from a folder: deploy it again from a terminal, or open a deployment to repeat it.'}
        actions={
          project.repository ? (
            <>
              <Button variant="primary" pending={pending} onClick={() => deploy(project.id)} title="Builds the newest commit of the branch">
                <Rocket /> Deploy
              </Button>
              <BuildOptions disabled={pending} onWithoutCache={() => deploy(project.id, { noCache: true })} />
            </>
          ) : null
        }
      />
      <DeploymentList projectId={project.id} />
    </>
  )
}
