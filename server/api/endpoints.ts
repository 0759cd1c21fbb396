import { meEndpoints, setupEndpoints } from '../accounts/endpoints'
import { apiKeyEndpoints } from '../api-keys/endpoints'
import { certificateEndpoints, dnsProviderEndpoints } from '../certificates/endpoints'
import { deploymentEndpoints } from '../deployments/endpoints'
import { domainEndpoints } from '../domains/endpoints'
import { environmentEndpoints } from '../environments/endpoints'
import { shareLinkEndpoints } from '../environments/share-link-endpoints'
import { watchChanges } from '../events/endpoints'
import { forgeEndpoints } from '../forges/endpoints'
import { gitEventEndpoints } from '../git-events/endpoints'
import { instanceEndpoints } from '../instances/endpoints'
import { projectEndpoints } from '../projects/endpoints'
import { variableEndpoints } from '../projects/variable-endpoints'
import { rulesEndpoints } from '../rules/endpoints'
import { systemEndpoints } from '../system/endpoints'
import { teamEndpoints } from '../teams/endpoints'
import { trafficEndpoints } from '../traffic/endpoints'
import { webhookEndpoints } from '../webhooks/endpoints'

/** Every endpoint there is, by its name in tRPC: `projects.create`. */
export const endpoints = {
  setup: setupEndpoints,
  me: meEndpoints,
  projects: projectEndpoints,
  rules: rulesEndpoints,
  environments: environmentEndpoints,
  shareLinks: shareLinkEndpoints,
  variables: variableEndpoints,
  domains: domainEndpoints,
  certificates: certificateEndpoints,
  dnsProviders: dnsProviderEndpoints,
  webhooks: webhookEndpoints,
  forges: forgeEndpoints,
  deployments: deploymentEndpoints,
  gitEvents: gitEventEndpoints,
  instances: instanceEndpoints,
  traffic: trafficEndpoints,
  apiKeys: apiKeyEndpoints,
  team: teamEndpoints,
  system: systemEndpoints,
  changes: watchChanges,
}
