'use client'
import { signIn } from 'next-auth/react'
import { type FormEvent, useId, useRef, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import type { WireError } from '@/shared/errors'

const wrong: WireError = { code: 'ERR_UNAUTHENTICATED', message: 'The e-mail or the password is wrong.', nextAction: 'Check both and try again.' }
const tooMany: WireError = {
  code: 'ERR_RATE_LIMITED',
  message: 'Too many attempts are waiting at this moment.',
  nextAction: 'Try again in a few seconds.',
}

/** Maps the error code of next-auth to an error: the code that `authorize` threw, or `CredentialsSignin` for a wrong password. */
function explain(result: { error?: string | null; status?: number } | undefined): WireError {
  if (!result) return wireErrorOf(undefined)
  if (result.status === 429 || result.error?.includes('RATE_LIMITED')) return tooMany
  return wrong
}

/** Signs in with e-mail and password, then opens the page the person first requested. */
export function LoginForm({ next }: { next: string }) {
  const [error, setError] = useState<WireError | null>(null)
  const [pending, setPending] = useState(false)
  const password = useRef<HTMLInputElement>(null)
  const panel = useId()

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    if (pending) return
    setPending(true)
    setError(null)
    const result = await signIn('credentials', { email: form.get('email'), password: form.get('password'), redirect: false }).catch(() => undefined)
    // A full page load discards the query cache of a previously signed-in person.
    if (result?.ok && !result.error) return window.location.assign(next)
    setError(explain(result))
    setPending(false)
    password.current?.select()
  }
  // Only a wrong e-mail or password marks the fields as invalid.
  const blamed = error === wrong ? { 'aria-invalid': true, 'aria-describedby': panel } : {}

  return (
    <Card className="p-5 sm:p-6">
      <h1 className="font-semibold text-xl">Sign in</h1>
      <form onSubmit={submit} className="mt-5 flex flex-col gap-4">
        <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus {...blamed} />
        <TextField label="Password" name="password" type="password" autoComplete="current-password" required ref={password} {...blamed} />
        {error ? <ErrorPanel id={panel} error={error} /> : null}
        <Button type="submit" variant="primary" size="lg" pending={pending}>
          Sign in
        </Button>
      </form>
    </Card>
  )
}
