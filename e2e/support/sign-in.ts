import { expect, type Page } from '@playwright/test'
import type { RunningPlatform } from '@/test/support/platform'

/** Signs in with the account the platform was started with, or as somebody else: `{ ...platform, ...person }`. */
export async function signIn(page: Page, platform: Pick<RunningPlatform, 'url' | 'email' | 'password'>): Promise<void> {
  await page.goto(`${platform.url}/login`)
  await page.getByLabel('E-mail').fill(platform.email)
  await page.getByLabel('Password').fill(platform.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('link', { name: 'Projects', exact: true })).toHaveAttribute('aria-current', 'page')
}

/** Collects what breaks in the page; a journey ends with none. */
export function pageErrors(page: Page): string[] {
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  return errors
}
