import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { jsonCodec } from '../src/codec.ts'
import type { Delivery } from '../src/feed.ts'
import { Pace } from '../src/pace.ts'
import { type ChangesMessage, type ServerMessage, type WireChange, defaultLimits } from '../src/protocol.ts'
import type { Clock } from '../src/runtime.ts'
import { PendingChanges, type QueueMember, SendQueue } from '../src/send-queue.ts'
import { SharedFrame } from '../src/shared-frame.ts'
import type { TransportSocket } from '../src/transport-socket.ts'

const limits = { ...defaultLimits, sendSoft: 100, sendHard: 1_000, sendTimeout: 10_000 }

let now: number
let deferred: (() => void)[]
const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  setTimer() {
    throw new Error('a queue has no timer')
  },
  defer: (run) => void deferred.push(run),
}
const fail = (error: unknown): never => {
  throw error
}

let sent: ServerMessage[]
let socket: TransportSocket & { bufferedAmount: number }
let queue: SendQueue

beforeEach(() => {
  now = 0
  deferred = []
  sent = []
  socket = {
    id: 's',
    bufferedAmount: 0,
    send: ({ data }) => void sent.push(...[JSON.parse(String(data)) as ServerMessage | ServerMessage[]].flat()),
    close: () => undefined,
  }
  queue = new SendQueue(socket, jsonCodec, limits, new Pace(clock, fail))
})

const view = (handle = 'f'): QueueMember => ({ handle, queued: undefined })
let at = 0
const delivery = (...changes: readonly WireChange[]): Delivery => {
  const [from, to] = [`p${at}`, `p${++at}`]
  return { changes, from, to, frame: new SharedFrame({ type: 'changes', feed: 'f', from, to, changes }) }
}
const update = (key: number, size = 10): WireChange => ({ action: 'update', key, data: { text: 'x'.repeat(size) } })
function* parts(id: string, count: number): Generator<ServerMessage, undefined> {
  for (let part = 0; part < count; part++)
    yield { type: 'snapshot', id, feed: 'f', rows: [], part, done: part === count - 1 }
}
const block = (): void => void (socket.bufferedAmount = 101)
const drain = (): void => {
  socket.bufferedAmount = 0
  queue.pump()
}

describe('coalescing', () => {
  type Action = WireChange['action']
  const gone = (action: Action): boolean => action === 'delete' || action === 'leave'

  test.each<[Action[], Action | undefined]>([
    [['create', 'update'], 'create'],
    [['enter', 'update', 'update'], 'enter'],
    [['create', 'delete'], undefined],
    [['enter', 'leave'], undefined],
    [['update', 'delete'], 'delete'],
    [['update', 'leave'], 'leave'],
    [['delete', 'create'], 'update'],
    [['leave', 'enter'], 'update'],
    [['leave', 'enter', 'delete'], 'delete'],
    [['create', 'delete', 'create'], 'create'],
  ])('%j is told as %s', (actions, told) => {
    const pending = new PendingChanges('f')
    for (const [i, action] of actions.entries())
      pending.add(delivery(gone(action) ? { action, key: 1 } : { action, key: 1, data: { i } }), 10)
    const message = pending.take() as ChangesMessage
    expect(message.changes).toHaveLength(told === undefined ? 0 : 1)
    expect(message.changes[0]?.action).toBe(told)
    if (told !== undefined && !gone(told)) expect(message.changes[0]?.data).toEqual({ i: actions.length - 1 })
  })

  test('leaves a client with the same rows, at the same position, as each change by itself would, also in parts', () => {
    const step = fc.record({
      key: fc.integer({ min: 1, max: 4 }),
      soft: fc.boolean(),
      value: fc.nat(),
      /** Bytes that are taken out after it; none most times. */
      take: fc.constantFrom(0, 0, 0, 100, 250),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.subarray([1, 2, 3, 4]), (steps, first) => {
        const told = new Map(first.map((key) => [key, -1]))
        const rows = new Map(told)
        const pending = new PendingChanges('f')
        let position: string | undefined
        const take = (bytes?: number): void => {
          const message = pending.take(bytes) as ChangesMessage | undefined
          if (message === undefined) return
          // Whoever is elsewhere has missed something.
          if (position !== undefined) expect(message.from).toBe(position)
          position = message.to
          expect(message.changes.length * 100).toBeLessThanOrEqual(bytes ?? Number.POSITIVE_INFINITY)
          for (const { action, key, data } of message.changes) {
            const id = Number(key)
            expect(told.has(id)).toBe(action !== 'create' && action !== 'enter')
            if (gone(action)) told.delete(id)
            else told.set(id, Number(data?.['value']))
          }
        }
        for (const { key, soft, value, take: bytes } of steps) {
          const come = soft ? 'enter' : 'create'
          const go = soft ? 'leave' : 'delete'
          const action = !rows.has(key) ? come : value % 3 > 0 ? 'update' : go
          if (gone(action)) rows.delete(key)
          else rows.set(key, value)
          pending.add(delivery(gone(action) ? { action, key } : { action, key, data: { value } }), 100)
          // What has been merged away weighs nothing.
          expect(pending.size).toBe(100 * pending.changes.size)
          if (bytes > 0) take(bytes)
        }
        take()
        expect(told).toEqual(rows)
        expect(position).toBe(steps.length === 0 ? undefined : `p${at}`)
        expect(pending.size).toBe(0)
      }),
    )
  })

  test('keeps a record that changes all the time as light as it is', () => {
    const member = view()
    block()
    for (let i = 0; i < 500; i++) queue.sendChanges(member, delivery(update(1, 100)))
    expect(queue.isOverflowing(0)).toBe(false)
    for (let key = 2; key < 20; key++) queue.sendChanges(member, delivery(update(key, 100)))
    expect(queue.isOverflowing(0)).toBe(true)
  })
})

describe('the order', () => {
  test('of what waits is that of its coming, and a snapshot is made when there is room', () => {
    block()
    let made = 0
    const counted = (function* (): Generator<ServerMessage, undefined> {
      for (const message of parts('a', 3)) {
        made++
        yield message
      }
    })()
    const member = view()
    queue.send({ type: 'pong' })
    queue.sendSnapshot(member, 'a', counted)
    queue.sendChanges(member, delivery(update(1)))
    queue.send({ type: 'end', id: 'b' })
    queue.sendChanges(member, delivery(update(2)))
    expect([sent, made]).toEqual([[], 0])
    drain()
    expect(sent.map(({ type }) => type)).toEqual(['pong', 'snapshot', 'snapshot', 'snapshot', 'changes', 'end'])
    expect(sent[4]).toMatchObject({ changes: [{ key: 1 }, { key: 2 }] })
    expect(queue.isEmpty).toBe(true)
  })

  test('stops where the room ends', () => {
    block()
    queue.sendSnapshot(view(), 'a', parts('a', 3))
    socket.send = ({ data }) => {
      sent.push(JSON.parse(String(data)) as ServerMessage)
      block()
    }
    drain()
    expect(sent).toHaveLength(1)
    expect(queue.hasSnapshot('a')).toBe(true)
    drain()
    drain()
    drain()
    expect(sent.map((message) => message.type === 'snapshot' && message.part)).toEqual([0, 1, 2])
    expect([queue.hasSnapshot('a'), queue.isEmpty]).toEqual([false, true])
  })
})

describe('giving up', () => {
  test('says what is given up, and keeps the replies', () => {
    const [member, other] = [view('f'), view('g')]
    block()
    queue.sendChanges(member, delivery(update(1)))
    queue.send({ type: 'reply', id: 'r', ok: true })
    queue.sendSnapshot(other, 'a', parts('a', 2))
    expect(queue.giveUp()).toEqual({ members: new Set([member]), ids: new Set(['a']) })
    expect([member.queued, queue.isOverflowing(0)]).toEqual([undefined, false])
    drain()
    expect(sent).toEqual([{ type: 'reply', id: 'r', ok: true }])
  })

  test('is due when nothing moves for ten seconds, not while the socket gets rid of anything', () => {
    block()
    queue.send({ type: 'pong' })
    expect(queue.isOverflowing(1_000)).toBe(false)
    socket.bufferedAmount += 1_000_000
    expect(queue.isOverflowing(11_000)).toBe(false)
    expect(queue.isOverflowing(11_001)).toBe(true)
    for (let now = 12_000; now < 60_000; now += 5_000) {
      socket.bufferedAmount--
      expect(queue.isOverflowing(now)).toBe(false)
    }
  })

  test('is not due for what began to wait only now', () => {
    const member = view()
    block()
    queue.sendChanges(member, delivery(update(1)))
    expect(queue.isOverflowing(1_000)).toBe(false)
    queue.take(member)
    expect(queue.isOverflowing(2_000)).toBe(false)
    queue.sendChanges(member, delivery(update(1)))
    expect(queue.isOverflowing(60_000)).toBe(false)
  })

  test('is no cure for replies: they crowd the queue instead', () => {
    block()
    for (let i = 0; i < 40; i++) queue.send({ type: 'reply', id: 'é'.repeat(10), ok: true })
    expect([queue.isOverflowing(0), queue.isCrowded]).toEqual([false, true])
    drain()
    expect([queue.isCrowded, sent.length]).toEqual([false, 40])
  })
})

describe('a view that is held back', () => {
  test('takes its changes out of the queue, and puts them back in their new turn', () => {
    const member = view()
    block()
    queue.sendChanges(member, delivery(update(1)))
    queue.send({ type: 'pong' })
    const taken = queue.take(member)
    queue.send({ type: 'end', id: 'b' })
    if (taken !== undefined) queue.sendPending(member, taken)
    queue.sendChanges(member, delivery(update(2)))
    drain()
    expect(sent).toMatchObject([{ type: 'pong' }, { type: 'end' }, { changes: [{ key: 1 }, { key: 2 }] }])
  })

  test('with nothing to say says nothing', () => {
    const member = view()
    queue.sendPending(member, new PendingChanges('f'))
    expect([sent, member.queued]).toEqual([[], undefined])
  })
})

describe('when much is to be said at once', () => {
  /** Lets the turns of the event loop pass, one after the other. */
  const turns = (): number => {
    let count = 0
    for (; deferred.length > 0; count++) for (const run of deferred.splice(0)) run()
    return count
  }
  /** Each part takes a while. */
  function* slowParts(id: string, count: number): Generator<ServerMessage, undefined> {
    for (const part of parts(id, count)) {
      now += 15
      yield part
    }
  }

  test('a snapshot is made in slices, and what comes later stays behind it', () => {
    const member = view()
    queue.sendSnapshot(member, 's', slowParts('s', 5))
    expect(sent).toHaveLength(2)
    queue.sendChanges(member, delivery(update(1)))
    queue.send({ type: 'pong' })
    expect(sent).toHaveLength(2)
    expect(turns()).toBeGreaterThan(2)
    expect(sent.map(({ type }) => type)).toEqual([...Array<string>(5).fill('snapshot'), 'changes', 'pong'])
  })

  test('those of many clients share the slice', () => {
    const pace = new Pace(clock, fail)
    const queues = Array.from({ length: 4 }, () => new SendQueue(socket, jsonCodec, limits, pace))
    for (const one of queues) one.sendSnapshot(view(), 's', slowParts('s', 1))
    expect(sent).toHaveLength(2)
    turns()
    expect(sent).toHaveLength(4)
  })

  test('what a slow client has still to hear goes out in parts that lead to the newest position', () => {
    const member = view()
    const small = new SendQueue(socket, jsonCodec, { ...limits, snapshotPart: 300 }, new Pace(clock, fail))
    block()
    const updates = Array.from({ length: 10 }, (_, key) => update(key, 100))
    for (const change of updates) small.sendChanges(member, delivery(change))
    const last = `p${at}`
    socket.bufferedAmount = 0
    small.pump()
    const told = sent as ChangesMessage[]
    expect(told.length).toBeGreaterThan(3)
    expect(told.flatMap(({ changes }) => changes)).toEqual(updates)
    expect(told.map(({ from, to }) => from === to)).toEqual([...Array<boolean>(told.length - 1).fill(true), false])
    expect(told.at(-1)?.to).toBe(last)
    expect(small.heldBytes).toBe(0)
  })

  test('a queue that is cleared meanwhile says no more', () => {
    queue.sendSnapshot(view(), 's', slowParts('s', 5))
    queue.clear()
    turns()
    expect(sent).toHaveLength(2)
  })
})
