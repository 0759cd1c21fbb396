'use client'
import { useState } from 'react'
import { ActionButton, RefusalNote } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { CopyButton } from '@/app/components/ui/copy-button'
import type { RulesView, UnreadRules } from '@/shared/rules-settings'
import { Toggle } from './rule-card'
import { useSaveRules } from './use-rules'

/** Shows the stored text of unreadable rules, so that it can be copied before it is deleted. */
function StoredText({ unread }: { unread: UnreadRules }) {
  if (unread.text === null) return null
  return (
    <div className="min-w-0">
      <div className="relative">
        <pre className="max-h-48 overflow-auto rounded-md border bg-console py-2 pr-12 pl-3 font-mono text-xs leading-5">{unread.text}</pre>
        <CopyButton text={unread.text} label="Copy what is stored" className="absolute top-1 right-1 bg-console" />
      </div>
      {unread.leftOutChars > 0 ? (
        <p className="mt-1 text-faint text-sm">{`Only the first part is shown; ${unread.leftOutChars.toLocaleString('en')} more characters are hidden.`}</p>
      ) : null}
    </div>
  )
}

interface UnreadRulesCardProps {
  unread: UnreadRules
  settings: RulesView['settings']
  /** The page already shows the reason above this card. */
  explained: boolean
}

/** Shows rules that cannot be read and discards them after a confirmation, because discarding access rules may open the project. */
export function UnreadRulesCard({ unread, settings, explained }: UnreadRulesCardProps) {
  const [asking, setAsking] = useState(false)
  const [closing, setClosing] = useState(true)
  const { save, pending, error } = useSaveRules('Rules', true, () => setAsking(false))
  const mayClose = unread.keepsOut && !settings.maintenance
  const takeBack = () =>
    save({ discardUnread: unread.version, ...(mayClose && closing ? { maintenance: { message: null, allowedAddresses: [] } } : {}) })
  return (
    <Card aria-label="Rules that cannot be read">
      <CardHeader
        title="Rules that cannot be read"
        description={`A newer version of Switchyard wrote these rules, or they were changed directly in the database. They stay unchanged until you discard them${unread.keepsOut ? '; until then, no other rule can be changed' : ''}.`}
      />
      <div className="flex flex-col gap-3 px-4 pb-4 sm:px-5">
        {explained ? null : <p className="wrap-anywhere text-sm">{`Why: ${unread.why}.`}</p>}
        <StoredText unread={unread} />
        <RefusalNote action="project.update" />
      </div>
      <CardFooter className="justify-end">
        <ActionButton action="project.update" variant="dangerOutline" onClick={() => setAsking(true)}>
          Discard unreadable rules…
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Discard unreadable rules?"
        description={
          unread.keepsOut
            ? 'The unreadable rules are deleted, including access rules. All other rules stay.'
            : 'The unreadable rules are deleted. All other rules stay.'
        }
        confirmLabel="Discard"
        pending={pending}
        error={asking ? error : null}
        onConfirm={takeBack}
      >
        <StoredText unread={unread} />
        {mayClose ? (
          <Toggle
            label="Close the site for maintenance"
            hint="Otherwise everybody has access until you set protection again."
            checked={closing}
            onChange={setClosing}
          />
        ) : null}
      </ConfirmDialog>
    </Card>
  )
}
