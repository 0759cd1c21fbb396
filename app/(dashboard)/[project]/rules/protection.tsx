'use client'
import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { CopyButton } from '@/app/components/ui/copy-button'
import { SelectField, TextField } from '@/app/components/ui/field'
import type { RulesPatch, RulesView } from '@/shared/rules-settings'
import { RuleCard } from './rule-card'
import { useSaveRules } from './use-rules'

type Kind = 'none' | 'basic' | 'token'
interface Draft {
  kind: Kind
  users: { id: string; name: string; password: string; known: boolean }[]
  keep: string[]
  create: number
}

function draftOf(protection: RulesView['settings']['protection']): Draft {
  const users = protection?.kind === 'basic' ? protection.users.map(({ name }) => ({ id: name, name, password: '', known: true })) : []
  return { kind: protection?.kind ?? 'none', users, keep: protection?.kind === 'token' ? protection.tokens.map(({ id }) => id) : [], create: 0 }
}

function patchOf({ kind, users, keep, create }: Draft): RulesPatch['protection'] {
  if (kind === 'none') return null
  if (kind === 'token') return { kind, keep, create }
  return { kind, users: users.map(({ name, password }) => ({ name, ...(password === '' ? {} : { password }) })) }
}

/** Protection of the app by passwords or by a link with a token. */
export function Protection({ settings, url }: RulesView & { url: string }) {
  const [edits, setEdits] = useState<Draft | null>(null)
  const [tokens, setTokens] = useState<string[]>([])
  const { save, pending, error } = useSaveRules('Protection', edits !== null, (made) => {
    setEdits(null)
    setTokens(made)
  })
  const now = edits ?? draftOf(settings.protection)
  const choose = (kind: Kind) => {
    const user = { id: 'first', name: '', password: '', known: false }
    setEdits({
      ...now,
      kind,
      users: kind === 'basic' && now.users.length === 0 ? [user] : now.users,
      create: kind === 'token' && now.keep.length === 0 ? 1 : now.create,
    })
  }
  return (
    <RuleCard
      title="Protection"
      description="Require a password or a link before visitors see the app. Passwords and tokens are stored as hashes."
      dirty={edits !== null}
      pending={pending}
      error={error}
      onSave={() => save({ protection: patchOf(now) ?? null })}
      onDiscard={() => setEdits(null)}
    >
      <SelectField label="Who may see it" value={now.kind} onChange={(event) => choose(event.target.value as Kind)}>
        <option value="none">Everyone</option>
        <option value="basic">Who has a name and a password</option>
        <option value="token">Who has a link with a token</option>
      </SelectField>
      {now.kind === 'basic' ? <Users draft={now} onChange={setEdits} /> : null}
      {now.kind === 'token' ? <Tokens draft={now} onChange={setEdits} /> : null}
      {tokens.map((token) => (
        <NewToken key={token} link={`${url}/?switchyard_token=${token}`} />
      ))}
    </RuleCard>
  )
}

function Users({ draft, onChange }: { draft: Draft; onChange(draft: Draft): void }) {
  const change = (id: string, part: Partial<Draft['users'][number]>) =>
    onChange({ ...draft, users: draft.users.map((user) => (user.id === id ? { ...user, ...part } : user)) })
  return (
    <>
      {draft.users.map((user, i) => (
        <div key={user.id} className="flex items-end gap-2">
          <TextField
            className="flex-1"
            label="Name"
            labelHidden={i > 0}
            required
            maxLength={100}
            value={user.name}
            readOnly={user.known}
            onChange={(event) => change(user.id, { name: event.target.value })}
            autoComplete="off"
          />
          <TextField
            className="flex-1"
            label="Password"
            labelHidden={i > 0}
            type="password"
            required={!user.known}
            minLength={8}
            maxLength={200}
            placeholder={user.known ? 'As it is' : '8 characters or more'}
            value={user.password}
            onChange={(event) => change(user.id, { password: event.target.value })}
            autoComplete="new-password"
          />
          <Button
            size="icon"
            variant="ghost"
            aria-label={`Remove user ${user.name || i + 1}`}
            disabled={draft.users.length === 1}
            onClick={() => onChange({ ...draft, users: draft.users.filter(({ id }) => id !== user.id) })}
          >
            <Trash2 />
          </Button>
        </div>
      ))}
      <Button
        size="sm"
        className="self-start"
        onClick={() => onChange({ ...draft, users: [...draft.users, { id: `new-${Date.now()}`, name: '', password: '', known: false }] })}
      >
        <Plus /> Add user
      </Button>
    </>
  )
}

function Tokens({ draft, onChange }: { draft: Draft; onChange(draft: Draft): void }) {
  return (
    <>
      {draft.keep.map((id) => (
        <div key={id} className="flex items-center justify-between gap-2 rounded-md border px-3 py-1.5">
          <span className="font-mono text-sm">{id}…</span>
          <Button
            size="iconSm"
            variant="ghost"
            aria-label={`Take away token ${id}`}
            onClick={() => onChange({ ...draft, keep: draft.keep.filter((one) => one !== id) })}
          >
            <Trash2 />
          </Button>
        </div>
      ))}
      {draft.create > 0 ? (
        <p className="text-muted text-sm">
          {draft.create === 1 ? 'One new link is' : `${draft.create} new links are`} made when you save, and shown once.
        </p>
      ) : null}
      <Button size="sm" className="self-start" disabled={draft.create >= 5} onClick={() => onChange({ ...draft, create: draft.create + 1 })}>
        <Plus /> New link
      </Button>
    </>
  )
}

function NewToken({ link }: { link: string }) {
  return (
    <div className="rounded-lg border border-accent/40 bg-sunken px-3 py-2.5">
      <p className="font-medium text-sm">Copy this link now: it is not shown again.</p>
      <div className="mt-1.5 flex items-center gap-2">
        <code className="min-w-0 flex-1 break-all text-sm">{link}</code>
        <CopyButton text={link} label="Copy link" />
      </div>
    </div>
  )
}
