'use client'
import { SelectField, TextField } from '@/app/components/ui/field'
import type { HeaderRule, RateLimitRule, RedirectRule, RewriteRule } from '@/shared/project-rules'
import type { RulesView } from '@/shared/rules-settings'
import { RuleList } from './rule-list'

const statuses: [RedirectRule['status'], string][] = [
  [308, '308 for good'],
  [307, '307 for now'],
  [301, '301 for good, as GET'],
  [302, '302 for now, as GET'],
  [303, '303 see other'],
]
const source = (value: string, onChange: (value: string) => void, number: number) => (
  <TextField
    label="Path"
    labelHidden={number > 1}
    mono
    required
    placeholder="/blog/:slug*"
    value={value}
    onChange={(event) => onChange(event.target.value)}
    autoComplete="off"
  />
)

/** Rules with path patterns: redirects, rewrites, headers, rate limits. */
export function PathRules({ settings, files, outsideHosts }: RulesView) {
  return (
    <>
      <RuleList<RedirectRule>
        field="redirects"
        title="Redirects"
        description="The first matching rule applies; rules set here come before rules in files. Query strings are kept."
        rules={settings.redirects ?? []}
        fromFiles={files.redirects ?? []}
        blank={{ source: '', destination: '', status: 308 }}
        show={(rule) => `${rule.source} → ${rule.destination} (${rule.status})`}
        edit={(rule, change, number) => (
          <>
            {source(rule.source, (value) => change({ ...rule, source: value }), number)}
            <Destination
              value={rule.destination}
              number={number}
              placeholder="/posts/:slug*"
              onChange={(destination) => change({ ...rule, destination })}
            />
            <SelectField
              label="Status"
              labelHidden={number > 1}
              value={rule.status}
              onChange={(event) => change({ ...rule, status: Number(event.target.value) as RedirectRule['status'] })}
            >
              {statuses.map(([status, label]) => (
                <option key={status} value={status}>
                  {label}
                </option>
              ))}
            </SelectField>
          </>
        )}
      />
      <RuleList<RewriteRule>
        field="rewrites"
        title="Rewrites"
        description={`The visitor's URL stays the same, another path serves the request: /path, project:other/path${outsideHosts.length > 0 ? `, or https:// at ${outsideHosts.join(', ')}` : ''}.`}
        rules={settings.rewrites ?? []}
        fromFiles={files.rewrites ?? []}
        blank={{ source: '', destination: '' }}
        show={(rule) => `${rule.source} → ${rule.destination}${rule.beforeFiles ? ' (before files)' : ''}`}
        edit={(rule, change, number) => (
          <>
            {source(rule.source, (value) => change({ ...rule, source: value }), number)}
            <Destination
              value={rule.destination}
              number={number}
              placeholder="project:api/:path*"
              onChange={(destination) => change({ ...rule, destination })}
            />
            <SelectField
              label="Order"
              labelHidden={number > 1}
              value={rule.beforeFiles ? 'before' : 'after'}
              onChange={(event) => change({ ...rule, beforeFiles: event.target.value === 'before' })}
            >
              <option value="after">After files</option>
              <option value="before">Before files</option>
            </SelectField>
          </>
        )}
      />
      <HeaderRules settings={settings} files={files} />
      <LimitRules settings={settings} files={files} />
    </>
  )
}

function Destination(props: { value: string; number: number; placeholder: string; onChange(value: string): void }) {
  return (
    <TextField
      label="Destination"
      labelHidden={props.number > 1}
      mono
      required
      placeholder={props.placeholder}
      value={props.value}
      onChange={(event) => props.onChange(event.target.value)}
      autoComplete="off"
    />
  )
}

type Parts = Pick<RulesView, 'settings' | 'files'>

const headerText = (rule: HeaderRule) => rule.headers.map(({ key, value }) => `${key}: ${value}`).join(', ')

function HeaderRules({ settings, files }: Parts) {
  return (
    <RuleList<HeaderRule>
      field="headers"
      title="Response headers"
      description="Set on responses of these paths. The last matching rule wins."
      rules={(settings.headers ?? []).flatMap((rule) => rule.headers.map((header) => ({ ...rule, headers: [header] })))}
      fromFiles={files.headers ?? []}
      blank={{ source: '/(.*)', headers: [{ key: '', value: '' }] }}
      show={(rule) => `${rule.source}  ${headerText(rule)}`}
      edit={(rule, change, number) => {
        const header = rule.headers[0] ?? { key: '', value: '' }
        const set = (part: Partial<typeof header>) => change({ ...rule, headers: [{ ...header, ...part }] })
        return (
          <>
            {source(rule.source, (value) => change({ ...rule, source: value }), number)}
            <TextField
              label="Header"
              labelHidden={number > 1}
              mono
              required
              placeholder="X-Frame-Options"
              value={header.key}
              onChange={(event) => set({ key: event.target.value })}
              autoComplete="off"
            />
            <TextField
              label="Value"
              labelHidden={number > 1}
              mono
              placeholder="DENY"
              value={header.value}
              onChange={(event) => set({ value: event.target.value })}
              autoComplete="off"
            />
          </>
        )
      }}
    />
  )
}

function LimitRules({ settings, files }: Parts) {
  return (
    <RuleList<RateLimitRule>
      field="rateLimits"
      title="Rate limits"
      description="Maximum requests per visitor; further requests get status 429 with Retry-After."
      rules={settings.rateLimits ?? []}
      fromFiles={files.rateLimits ?? []}
      blank={{ source: '/api/(.*)', requests: 100, windowSeconds: 60 }}
      show={(rule) => `${rule.source}  ${rule.requests} in ${rule.windowSeconds} s`}
      edit={(rule, change, number) => (
        <>
          {source(rule.source, (value) => change({ ...rule, source: value }), number)}
          <TextField
            label="Requests"
            labelHidden={number > 1}
            type="number"
            min={1}
            max={1_000_000}
            required
            value={rule.requests}
            onChange={(event) => change({ ...rule, requests: Number(event.target.value) })}
          />
          <TextField
            label="In seconds"
            labelHidden={number > 1}
            type="number"
            min={1}
            max={86_400}
            required
            value={rule.windowSeconds}
            onChange={(event) => change({ ...rule, windowSeconds: Number(event.target.value) })}
          />
        </>
      )}
    />
  )
}
