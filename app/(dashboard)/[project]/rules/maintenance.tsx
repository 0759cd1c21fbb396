'use client'
import { useState } from 'react'
import { AreaField, TextField } from '@/app/components/ui/field'
import { Toggle } from '@/app/components/ui/toggle'
import type { RulesView } from '@/shared/rules-settings'
import { linesOf, RuleCard } from './rule-card'
import { useSaveRules } from './use-rules'

/** Maintenance mode: closes the app except for the listed addresses. */
export function Maintenance({ settings }: RulesView) {
  const saved = settings.maintenance ?? null
  const [edits, setEdits] = useState<{ on: boolean; message: string; except: string } | null>(null)
  const { save, pending, error } = useSaveRules('Maintenance', edits !== null, () => setEdits(null))
  const now = edits ?? { on: saved !== null, message: saved?.message ?? '', except: (saved?.allowedAddresses ?? []).join('\n') }
  return (
    <RuleCard
      title="Maintenance"
      description="Visitors get a page with status 503 until you turn it off."
      dirty={edits !== null}
      pending={pending}
      error={error}
      onSave={() => save({ maintenance: now.on ? { message: now.message.trim() || null, allowedAddresses: linesOf(now.except) } : null })}
      onDiscard={() => setEdits(null)}
    >
      <Toggle
        label="Closed for maintenance"
        hint="Takes effect at once; instances keep running."
        checked={now.on}
        onChange={(on) => setEdits({ ...now, on })}
      />
      {now.on ? (
        <>
          <TextField
            label="Message"
            maxLength={2048}
            placeholder="Back at ten."
            value={now.message}
            onChange={(event) => setEdits({ ...now, message: event.target.value })}
            autoComplete="off"
          />
          <AreaField
            label="Addresses that come in all the same"
            mono
            rows={2}
            placeholder="192.0.2.0/24"
            value={now.except}
            onChange={(event) => setEdits({ ...now, except: event.target.value })}
          />
        </>
      ) : null}
    </RuleCard>
  )
}

/** Restricts the app to these networks. */
export function Addresses({ settings, files }: RulesView) {
  const saved = settings.allowedAddresses ?? []
  const [edits, setEdits] = useState<string | null>(null)
  const { save, pending, error } = useSaveRules('Allowed addresses', edits !== null, () => setEdits(null))
  const fromFiles = files.allowedAddresses ?? []
  return (
    <RuleCard
      title="Allowed addresses"
      description="Only visitors from these IP addresses and ranges have access. Empty: everyone."
      dirty={edits !== null}
      pending={pending}
      error={error}
      onSave={() => {
        const list = linesOf(edits ?? '')
        save(list.length > 0 ? { allowedAddresses: list } : { reset: ['allowedAddresses'] })
      }}
      onDiscard={() => setEdits(null)}
    >
      <AreaField
        label="Addresses"
        labelHidden
        mono
        rows={3}
        placeholder={'192.0.2.7\n2001:db8::/32'}
        value={edits ?? saved.join('\n')}
        onChange={(event) => setEdits(event.target.value)}
        hint={saved.length === 0 && fromFiles.length > 0 ? `From the files: ${fromFiles.join(', ')}` : undefined}
      />
    </RuleCard>
  )
}
