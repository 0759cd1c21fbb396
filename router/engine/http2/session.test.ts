import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { testLimits } from '../contract/testing'
import { Session } from './session'

test('a connection whose first bytes have not left yet is no slow reader, until its time is over', async () => {
  // Takes bytes and never says that they have left.
  const socket = new Duplex({ read: () => {}, write: () => {} })
  const session = new Session(socket as Socket, { limits: testLimits, suspect: false, onRequest: () => {}, onFlood: () => {}, onClosed: () => {} })
  await new Promise((resolve) => setImmediate(resolve))
  expect(socket.writableLength).toBeGreaterThan(0)
  session.tick(Date.now())
  expect(socket.destroyed).toBe(false)
  session.tick(Date.now() + testLimits.clientIdleTimeoutMs + testLimits.clientHeadTimeoutMs)
  expect(socket.destroyed || socket.writableEnded).toBe(true)
})
