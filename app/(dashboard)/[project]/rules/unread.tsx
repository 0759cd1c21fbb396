'use client'
import { useState } from 'react'
import { ActionButton, RefusalNote } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { CopyButton } from '@/app/components/ui/copy-button'
import type { RulesView, UnreadRules } from '@/shared/rules-settings'
import { Toggle } from './rule-card'
import { useSaveRules } from './use-rules'

/** The text as it is stored, to be read and kept. */
function StoredText({ unread }: { unread: UnreadRules }) {
  if (unread.text === null) return null
  return (
    <div className="min-w-0">
      <div className="relative">
        <pre className="max-h-48 overflow-auto rounded-md border bg-console py-2 pr-12 pl-3 font-mono text-xs leading-5">{unread.text}</pre>
        <CopyButton text={unread.text} label="Copy what is stored" className="absolute top-1 right-1 bg-console" />
      </div>
      {unread.leftOutChars > 0 ? (
        <p className="mt-1 text-faint text-sm">{`Its first part; ${unread.leftOutChars.toLocaleString('en')} more characters are not shown.`}</p>
      ) : null}
    </div>
  )
}

interface UnreadRulesCardProps {
  unread: UnreadRules
  settings: RulesView['settings']
  /** Why is told above already. */
  explained: boolean
}

/** What was set for the project and cannot be read, with the way out: it is taken back, after the question whether that may open the project. */
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
        description={`A newer Switchyard wrote them, or somebody wrote them past the API. They stay as they are until you take them back${unread.keepsOut ? ', and until then nothing else can be set here' : ''}.`}
      />
      <div className="flex flex-col gap-3 px-4 pb-4 sm:px-5">
        {explained ? null : <p className="wrap-anywhere text-sm">{`Why: ${unread.why}.`}</p>}
        <StoredText unread={unread} />
        <RefusalNote action="project.update" />
      </div>
      <CardFooter className="justify-end">
        <ActionButton action="project.update" variant="dangerOutline" onClick={() => setAsking(true)}>
          Take them back…
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={asking}
        onOpenChange={setAsking}
        title="Take back what cannot be read?"
        description={
          unread.keepsOut
            ? 'This is lost, and with it what it said about who may come in. Everything that can be read stays.'
            : 'This is lost. Everything that can be read stays.'
        }
        confirmLabel="Take back"
        pending={pending}
        error={asking ? error : null}
        onConfirm={takeBack}
      >
        <StoredText unread={unread} />
        {mayClose ? (
          <Toggle
            label="Keep visitors out: close for maintenance"
            hint="Otherwise everybody may come in until you set protection anew."
            checked={closing}
            onChange={setClosing}
          />
        ) : null}
      </ConfirmDialog>
    </Card>
  )
}
