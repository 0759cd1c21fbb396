import type { Route } from 'next'

/** All paths of the dashboard, so that renaming a page is a single change. */
export const paths = {
  home: '/' as Route,
  login: '/login' as Route,
  /** Sign-in that leads back to `page`. */
  loginTo: (page: string | null) => (page && page !== '/' ? `/login?next=${encodeURIComponent(page)}` : '/login') as Route,
  setup: '/setup' as Route,
  newProject: '/new' as Route,
  deployments: '/deployments' as Route,
  certificates: '/certificates' as Route,
  certificate: (id: string) => `/certificates/${id}` as Route,
  settings: '/settings' as Route,
  project: (slug: string) => `/${slug}` as Route,
  projectDeployments: (slug: string) => `/${slug}/deployments` as Route,
  deployment: (slug: string, id: string) => `/${slug}/deployments/${id}` as Route,
  /** Two versions side by side; the other one: what is live, or `?with=`. */
  compare: (slug: string, id: string, other?: string) => `/${slug}/deployments/${id}/compare${other ? `?with=${other}` : ''}` as Route,
  environments: (slug: string) => `/${slug}/environments` as Route,
  instances: (slug: string) => `/${slug}/instances` as Route,
  traffic: (slug: string) => `/${slug}/traffic` as Route,
  variables: (slug: string, environment?: string) =>
    `/${slug}/variables${environment ? `?environment=${encodeURIComponent(environment)}` : ''}` as Route,
  domains: (slug: string) => `/${slug}/domains` as Route,
  domain: (slug: string, hostname: string) => `/${slug}/domains/${encodeURIComponent(hostname)}` as Route,
  rules: (slug: string) => `/${slug}/rules` as Route,
  projectSettings: (slug: string) => `/${slug}/settings` as Route,
  webhooks: (slug: string) => `/${slug}/settings/webhooks` as Route,
}
