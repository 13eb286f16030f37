import { expect, test } from 'vitest'
import { serve } from './harness.ts'
import { RawClient } from './raw-client.ts'

test('a full server answers 503 and when to come back, and has room again when a client has gone', async () => {
  const { port, open } = await serve({ maxConnections: 1 })
  const first = await open()
  const refused = await RawClient.open(port)
  expect(refused.answer.status).toBe(503)
  expect(Number(refused.answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  first.client.socket.destroy()
  expect(await first.accepted.heard.next()).toMatchObject({ type: 'closed' })
  expect((await RawClient.open(port)).answer.status).toBe(101)
})

test('a handshake that ws refuses takes no place', async () => {
  const { port } = await serve({ maxConnections: 1 })
  for (let i = 0; i < 3; i++) {
    expect((await RawClient.open(port, { 'Sec-WebSocket-Key': 'no' })).answer.status).toBe(400)
  }
  expect((await RawClient.open(port)).answer.status).toBe(101)
})

test('behind a trusted proxy the address is that of the client', async () => {
  const { port } = await serve({ maxConnectionsPerAddress: 1, trustProxy: true })
  const from = async (address: string): Promise<number> =>
    (await RawClient.open(port, { 'X-Forwarded-For': address })).answer.status
  expect(await from('203.0.113.1')).toBe(101)
  expect(await from('203.0.113.1')).toBe(503)
  expect(await from('spoofed, 203.0.113.1')).toBe(503)
  expect(await from('203.0.113.2')).toBe(101)
})
