import { expect, test } from 'vitest'
import { AcceptGate } from '../src/accept-gate.ts'
import { serve } from './harness.ts'
import { RawClient } from './raw-client.ts'

const unlimited = { maxConnections: Infinity, maxConnectionsPerAddress: Infinity, acceptRate: Infinity }

function gateWith(limits: Partial<typeof unlimited>): { gate: AcceptGate; pass: (milliseconds: number) => void } {
  let now = 0
  const gate = new AcceptGate({ ...unlimited, ...limits }, () => now)
  return { gate, pass: (milliseconds) => void (now += milliseconds) }
}

test('lets in as many as there is room for, and one more for each that leaves', () => {
  const { gate } = gateWith({ maxConnections: 2 })
  expect([gate.enter('a'), gate.enter('b')]).toEqual([undefined, undefined])
  expect(gate.enter('c')).toMatch(/as many connections/)
  gate.leave('a')
  expect(gate.enter('c')).toBeUndefined()
  expect(gate.enter('d')).toBeDefined()
})

test('counts each address by itself', () => {
  const { gate } = gateWith({ maxConnectionsPerAddress: 1 })
  expect(gate.enter('203.0.113.1')).toBeUndefined()
  expect(gate.enter('203.0.113.1')).toMatch(/from this address/)
  expect(gate.enter('203.0.113.2')).toBeUndefined()
  gate.leave('203.0.113.1')
  expect(gate.enter('203.0.113.1')).toBeUndefined()
})

test.each(['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])('%s is no address of a client', (address) => {
  const { gate } = gateWith({ maxConnectionsPerAddress: 1 })
  expect([gate.enter(address), gate.enter(address)]).toEqual([undefined, undefined])
})

test('lets in a burst, then as many a second', () => {
  const { gate, pass } = gateWith({ acceptRate: 2 })
  const enterMany = (): number =>
    Array.from({ length: 9 }, () => gate.enter('a')).filter((no) => no === undefined).length
  expect(enterMany()).toBe(2)
  pass(499)
  expect(enterMany()).toBe(0)
  pass(1)
  expect(enterMany()).toBe(1)
  pass(60_000)
  expect(enterMany(), 'no more than one second is saved up').toBe(2)
})

test('who is refused takes no place', () => {
  const { gate, pass } = gateWith({ maxConnections: 1, acceptRate: 1 })
  expect(gate.enter('a')).toBeUndefined()
  gate.leave('a')
  expect(gate.enter('a')).toMatch(/at once/)
  pass(1000)
  expect(gate.enter('a')).toBeUndefined()
})

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
