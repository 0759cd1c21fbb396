'use client'
import { useMutation } from '@tanstack/react-query'
import { signIn } from 'next-auth/react'
import type { FormEvent } from 'react'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'

/** Creates the first account. The one-time code proves access to the server's output. */
export function SetupForm() {
  const trpc = useTRPC()
  const create = useMutation(
    trpc.setup.createAccount.mutationOptions({
      onSuccess: async (_, { email, password }) => {
        const result = await signIn('credentials', { email, password, redirect: false }).catch(() => undefined)
        window.location.assign(result?.ok ? paths.home : paths.login)
      },
    }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '').trim()
    create.mutate({ code: text('code'), email: text('email'), password: String(form.get('password')), name: text('name') || undefined })
  }
  return (
    <Card className="p-5 sm:p-6">
      <h1 className="font-semibold text-xl">Create the first account</h1>
      <p className="mt-1 text-muted">
        Switchyard printed a one-time code when it started. You find it in the terminal or the service log of this machine.
      </p>
      <form onSubmit={submit} className="mt-5 flex flex-col gap-4">
        <TextField label="One-time code" name="code" mono required autoFocus autoComplete="one-time-code" autoCapitalize="none" />
        <TextField label="Your name" name="name" autoComplete="name" maxLength={100} />
        <TextField label="E-mail" name="email" type="email" required autoComplete="username" />
        <TextField
          label="Password"
          name="password"
          type="password"
          required
          minLength={8}
          autoComplete="new-password"
          hint="At least 8 characters."
        />
        {create.error ? <ErrorPanel error={wireErrorOf(create.error)} /> : null}
        <Button type="submit" variant="primary" size="lg" pending={create.isPending || create.isSuccess}>
          Create account
        </Button>
      </form>
    </Card>
  )
}
