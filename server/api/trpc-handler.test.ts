import { expect, test, vi } from 'vitest'
import { handleTrpc, maxBatchSize, maxBodyBytes } from './trpc-handler'

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

test('a body that nobody could mean is not read to its end, whoever sends it', async () => {
  let sent = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 65_536
      controller.enqueue(new Uint8Array(65_536).fill(32))
      if (sent > 4 * maxBodyBytes) controller.close()
    },
  })
  const headers = { 'content-type': 'application/json' }
  const request = new Request('http://localhost/api/trpc/setup.createAccount', { method: 'POST', headers, body, duplex: 'half' } as RequestInit)
  const refused = await handleTrpc(request)
  expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([413, 'ERR_TOO_LARGE'])
  expect(sent).toBeLessThan(1.5 * maxBodyBytes)
})
