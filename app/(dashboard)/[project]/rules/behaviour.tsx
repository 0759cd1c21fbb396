'use client'
import { useState } from 'react'
import { SelectField, TextField } from '@/app/components/ui/field'
import { Toggle } from '@/app/components/ui/toggle'
import { defaultProjectRules } from '@/shared/project-rules'
import type { RulesPatch, RulesView } from '@/shared/rules-settings'
import { RuleCard } from './rule-card'
import { useSaveRules } from './use-rules'

type Edits = Pick<
  RulesPatch,
  'cleanUrls' | 'trailingSlash' | 'compression' | 'cache' | 'sticky' | 'balance' | 'maxRequestsPerTarget' | 'maxBodyBytes' | 'answerTimeoutMs'
>
const MiB = 1024 * 1024
const number = (text: string): number | null => (text === '' ? null : Number(text))

/** Switches for URLs, responses and instances. A switch that was not changed keeps the value of the files. */
export function Behaviour({ settings, files }: RulesView) {
  const [edits, setEdits] = useState<Edits>({})
  const dirty = Object.keys(edits).length > 0
  const { save, pending, error } = useSaveRules('Behaviour', dirty, () => setEdits({}))
  const now = { ...defaultProjectRules, ...files, ...settings, ...edits }
  const set = (part: Edits) => setEdits({ ...edits, ...part })
  return (
    <RuleCard
      title="Behaviour"
      description="URLs, compression, caching, and how requests are distributed to instances."
      dirty={dirty}
      pending={pending}
      error={error}
      onSave={() => save(edits)}
      onDiscard={() => setEdits({})}
    >
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        <Toggle label="Clean URLs" hint="/about.html is found at /about." checked={now.cleanUrls} onChange={(cleanUrls) => set({ cleanUrls })} />
        <Toggle
          label="Compression"
          hint="Compressible responses are sent compressed."
          checked={now.compression}
          onChange={(compression) => set({ compression })}
        />
        <Toggle
          label="Cache"
          hint="Routers cache responses that your app marks as cacheable."
          checked={now.cache}
          onChange={(cache) => set({ cache })}
        />
        <Toggle label="Sticky visitors" hint="A visitor always gets the same instance." checked={now.sticky} onChange={(sticky) => set({ sticky })} />
        <SelectField
          label="Slash at the end"
          value={String(now.trailingSlash)}
          onChange={(event) => set({ trailingSlash: event.target.value === 'null' ? null : event.target.value === 'true' })}
        >
          <option value="null">As it was asked</option>
          <option value="false">Taken away</option>
          <option value="true">Added</option>
        </SelectField>
        <SelectField label="Balance" value={now.balance} onChange={(event) => set({ balance: event.target.value as Edits['balance'] })}>
          <option value="least-loaded">The least busy instance</option>
          <option value="round-robin">Each in turn</option>
        </SelectField>
        <TextField
          label="Requests at once per instance"
          type="number"
          min={1}
          placeholder="No limit"
          value={now.maxRequestsPerTarget ?? ''}
          onChange={(event) => set({ maxRequestsPerTarget: number(event.target.value) })}
          hint="More wait for their turn."
        />
        <TextField
          label="Largest upload in MiB"
          type="number"
          min={0}
          step="any"
          placeholder="No limit"
          value={now.maxBodyBytes === null ? '' : Number((now.maxBodyBytes / MiB).toFixed(6))}
          onChange={(event) => set({ maxBodyBytes: event.target.value === '' ? null : Math.round(Number(event.target.value) * MiB) })}
          hint="Larger requests get status 413."
        />
        <TextField
          label="Longest silence of an answer in seconds"
          type="number"
          min={1}
          max={86_400}
          placeholder="As the router is set: 120"
          value={now.answerTimeoutMs === null ? '' : now.answerTimeoutMs / 1000}
          onChange={(event) => set({ answerTimeoutMs: event.target.value === '' ? null : Math.round(Number(event.target.value) * 1000) })}
          hint="After this time visitors get status 504. Event streams and WebSockets have no limit."
        />
      </div>
    </RuleCard>
  )
}
