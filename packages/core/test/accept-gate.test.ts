import { expect, test } from 'vitest'
import { AcceptGate, type AcceptLimits } from '../src/index.ts'

const unlimited: AcceptLimits = { clients: Infinity, clientsPerAddress: Infinity, rate: Infinity }

function gateWith(limits: Partial<AcceptLimits>): { gate: AcceptGate; pass: (milliseconds: number) => void } {
  let now = 0
  const gate = new AcceptGate({ ...unlimited, ...limits }, { monotonic: () => now })
  return { gate, pass: (milliseconds) => void (now += milliseconds) }
}

test('lets in as many as there is room for, and one more for each that leaves', () => {
  const { gate } = gateWith({ clients: 2 })
  expect([gate.admit('a'), gate.admit('b')]).toEqual([undefined, undefined])
  expect(gate.admit('c')).toMatch(/as many clients/)
  gate.leave('a')
  expect(gate.admit('c')).toBeUndefined()
  expect(gate.admit('d')).toBeDefined()
})

test('counts each address by itself', () => {
  const { gate } = gateWith({ clientsPerAddress: 1 })
  expect(gate.admit('203.0.113.1')).toBeUndefined()
  expect(gate.admit('203.0.113.1')).toMatch(/from this address/)
  expect(gate.admit('203.0.113.2')).toBeUndefined()
  gate.leave('203.0.113.1')
  expect(gate.admit('203.0.113.1')).toBeUndefined()
})

test.each(['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1', ''])("'%s' is no address of a client", (address) => {
  const { gate } = gateWith({ clientsPerAddress: 1 })
  expect([gate.admit(address), gate.admit(address)]).toEqual([undefined, undefined])
})

test('lets in a burst, then as many a second', () => {
  const { gate, pass } = gateWith({ rate: 2 })
  const admitMany = (): number =>
    Array.from({ length: 9 }, () => gate.admit('a')).filter((no) => no === undefined).length
  expect(admitMany()).toBe(2)
  pass(499)
  expect(admitMany()).toBe(0)
  pass(1)
  expect(admitMany()).toBe(1)
  pass(60_000)
  expect(admitMany(), 'no more than one second is saved up').toBe(2)
})

test('who is refused takes no place, and no turn if there was no room', () => {
  const { gate, pass } = gateWith({ clients: 1, rate: 1 })
  expect(gate.admit('a')).toBeUndefined()
  gate.leave('a')
  expect(gate.admit('a')).toMatch(/at once/)
  pass(1_000)
  expect(gate.admit('a')).toBeUndefined()
  pass(1_000)
  expect(gate.admit('a')).toMatch(/as many/)
  gate.leave('a')
  expect(gate.admit('a')).toBeUndefined()
})

test('room and haste can be asked for apart, and who enters all the same is counted', () => {
  const { gate } = gateWith({ clients: 1, rate: 1 })
  expect([gate.haste(), gate.haste()]).toEqual([undefined, expect.stringMatching(/at once/)])
  expect(gate.fullness('a')).toBeUndefined()
  gate.enter('a')
  gate.enter('a')
  gate.leave('a')
  expect(gate.fullness('a')).toMatch(/as many/)
  gate.leave('a')
  expect(gate.fullness('a')).toBeUndefined()
})
