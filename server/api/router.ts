import { create as createApiKey } from './api-keys/create'
import { list as listApiKeys } from './api-keys/list'
import { revoke as revokeApiKey } from './api-keys/revoke'
import { get as getCertificate } from './certificates/get'
import { list as listCertificates } from './certificates/list'
import { remove as removeCertificate } from './certificates/remove'
import { retry as retryCertificate } from './certificates/retry'
import { upload as uploadCertificate } from './certificates/upload'
import { watch as watchChanges } from './changes/watch'
import { cancel as cancelDeployment } from './deployments/cancel'
import { create as createDeployment } from './deployments/create'
import { get as getDeployment } from './deployments/get'
import { list as listDeployments } from './deployments/list'
import { logs as deploymentLogs } from './deployments/logs'
import { watch as watchDeployment } from './deployments/watch'
import { create as createDnsProvider } from './dns-providers/create'
import { list as listDnsProviders } from './dns-providers/list'
import { remove as removeDnsProvider } from './dns-providers/remove'
import { update as updateDnsProvider } from './dns-providers/update'
import { add as addDomain } from './domains/add'
import { check as checkDomain } from './domains/check'
import { get as getDomain } from './domains/get'
import { list as listDomains } from './domains/list'
import { preview as previewDomain } from './domains/preview'
import { remove as removeDomain } from './domains/remove'
import { update as updateDomain } from './domains/update'
import { get as getEdgePolicy } from './edge-policy/get'
import { update as updateEdgePolicy } from './edge-policy/update'
import { list as listInstances } from './instances/list'
import { logs as instanceLogs } from './instances/logs'
import { get as getMe } from './me/get'
import { clearBuildCache } from './projects/clear-build-cache'
import { create as createProject } from './projects/create'
import { get as getProject } from './projects/get'
import { inspect as inspectProject } from './projects/inspect'
import { list as listProjects } from './projects/list'
import { purge as purgeCache } from './projects/purge'
import { remove as removeProject } from './projects/remove'
import { update as updateProject } from './projects/update'
import { createAccount } from './setup/create-account'
import { status as setupStatus } from './setup/status'
import { status as systemStatus } from './system/status'
import { storage as systemStorage } from './system/storage'
import { members } from './team/members'
import { follow as followRequests } from './traffic/follow'
import { requests as listRequests } from './traffic/requests'
import { series as trafficSeries } from './traffic/series'
import { targetEvents } from './traffic/target-events'
import { createCallerFactory, router } from './trpc'
import { list as listVariables } from './variables/list'
import { remove as removeVariable } from './variables/remove'
import { set as setVariable } from './variables/set'

/** What the dashboard calls. */
export const appRouter = router({
  setup: router({ status: setupStatus, createAccount }),
  me: router({ get: getMe }),
  projects: router({
    list: listProjects,
    get: getProject,
    create: createProject,
    update: updateProject,
    remove: removeProject,
    inspect: inspectProject,
    purge: purgeCache,
    clearBuildCache,
  }),
  edgePolicy: router({ get: getEdgePolicy, update: updateEdgePolicy }),
  variables: router({ list: listVariables, set: setVariable, remove: removeVariable }),
  domains: router({
    list: listDomains,
    get: getDomain,
    preview: previewDomain,
    add: addDomain,
    update: updateDomain,
    remove: removeDomain,
    check: checkDomain,
  }),
  certificates: router({
    list: listCertificates,
    get: getCertificate,
    retry: retryCertificate,
    upload: uploadCertificate,
    remove: removeCertificate,
  }),
  dnsProviders: router({ list: listDnsProviders, create: createDnsProvider, update: updateDnsProvider, remove: removeDnsProvider }),
  deployments: router({
    create: createDeployment,
    list: listDeployments,
    get: getDeployment,
    cancel: cancelDeployment,
    logs: deploymentLogs,
    watch: watchDeployment,
  }),
  instances: router({ list: listInstances, logs: instanceLogs }),
  traffic: router({ series: trafficSeries, requests: listRequests, follow: followRequests, targetEvents }),
  apiKeys: router({ list: listApiKeys, create: createApiKey, revoke: revokeApiKey }),
  team: router({ members }),
  system: router({ status: systemStatus, storage: systemStorage }),
  changes: watchChanges,
})
export type AppRouter = typeof appRouter

/** For pages that render on the server: the same procedures, called in process. */
export const createCaller = createCallerFactory(appRouter)
