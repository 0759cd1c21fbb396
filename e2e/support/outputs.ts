import { test } from '@playwright/test'

/** Attaches to each journey of the file that fails what the programs behind it printed, by their names. */
export function attachOutputs(outputs: () => Record<string, string>): void {
  test.afterEach(async ({ page: _ }, info) => {
    if (info.status === info.expectedStatus) return
    for (const [name, body] of Object.entries(outputs())) await info.attach(`output of ${name}`, { body, contentType: 'text/plain' })
  })
}
