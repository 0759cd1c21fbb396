import { expect, test, vi } from 'vitest'
import { handleTrpc, maxBatchSize } from './trpc-handler'

const setupNeeded = vi.fn(async () => false)
const platform = { accounts: { setupNeeded }, settings: {} }
vi.mock('../platform', () => ({ getPlatform: () => platform }))
vi.mock('./session', async (original) => ({ ...(await original<object>()), authenticate: async () => null }))

const batch = (size: number) => handleTrpc(new Request(`http://localhost/api/trpc/${Array(size).fill('setup.status').join(',')}?batch=1`))

test('a request, which counts once against the limits, takes no more calls than the dashboard puts into one', async () => {
  const refused = await batch(maxBatchSize + 1)
  expect(refused.status).toBe(400)
  expect(setupNeeded).not.toHaveBeenCalled()
  expect((await batch(maxBatchSize)).status).toBe(200)
  expect(setupNeeded).toHaveBeenCalledTimes(maxBatchSize)
})
