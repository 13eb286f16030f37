import { type Api, type MemoryStore, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door } from './gated.ts'

type Note = { id: number; topicId: number; text: string }
type Grant = { id: number }

let clock: FakeClock
let notes: MemoryStore<Note>
let grants: MemoryStore<Grant>
let api: Api
let slow: TestClient
let asked: Door

beforeEach(async () => {
  clock = fakeClock()
  asked = new Door()
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string' },
    rows: [1, 2, 3].map((topicId) => ({ id: topicId, topicId, text: '' })),
  })
  grants = memoryStore<Grant>({ entity: 'Grant', fields: { id: 'integer' }, rows: [1, 2, 3].map((id) => ({ id })) })
  const scope = () => {
    const granted = grants.find().map(({ id }) => id)
    return asked.pass(() => ({ topicId: { in: granted } }))
  }
  api = createApi({
    resources: [defineResource('notes', { store: notes, permissions: [{ scope }], dependsOn: [{ entity: 'Grant' }] })],
    changes: [notes, grants],
    clock,
    limits: { sendSoft: 2_000, sendHard: 20_000, snapshotPart: 1_500, heartbeatInterval: 1e9, rate: 1e9, burst: 1e9 },
  })
  slow = await connect(api)
})

afterEach(async () => {
  await slow.close()
  expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0, timers: 0 })
  await api.close()
  expect(clock.timers).toBe(0)
})

const topic = (topicId: number) => slow.subscribe({ resource: 'notes', where: { topicId } })
const text = (n: number, size: number): string => `${n}:`.padEnd(size, 'x')

/** Stops reading, and fills the socket so that whatever follows must wait. */
async function clog(): Promise<void> {
  slow.pause()
  for (let n = 0; n < 4; n++) {
    notes.update(1, { text: text(n, 1_000) })
    await clock.settle()
  }
}

/** More than may wait, in one topic. */
async function flood(topicId: number, from: number): Promise<void> {
  for (let n = 0; n < 50; n++) notes.create({ id: from + n, topicId, text: text(n, 500) })
  await clock.settle()
}

describe('when too much waits', () => {
  test('only the views of which something is given up start over', async () => {
    const [one, two, three] = [await topic(1), await topic(2), await topic(3)]
    await clog()
    await flood(2, 100)
    await clock.advance(500)
    // It waits behind the others, and is kept.
    notes.update(3, { text: 'changed' })
    await clock.settle()
    slow.resume()
    await two.until((rows) => rows.length === 51)
    await clock.settle()
    expect([one.resets, two.resets, three.resets]).toEqual([['overflow'], ['overflow'], []])
    expect(three.rows).toEqual([{ id: 3, topicId: 3, text: 'changed' }])
    expect(one.rows).toEqual(notes.read([1]))
    notes.update(2, { text: 'alive' })
    await two.until((rows) => rows[0]?.['text'] === 'alive')
  })

  test('a second time, the views concerned then start over, too, once', async () => {
    const [two, three] = [await topic(2), await topic(3)]
    const one = await topic(1)
    await clog()
    await flood(2, 100)
    await clock.advance(500)
    await flood(3, 200)
    await clock.advance(500)
    await flood(3, 300)
    await clock.advance(500)
    slow.resume()
    await three.until((rows) => rows.length === 101)
    await two.until((rows) => rows.length === 51)
    expect([one.resets, two.resets, three.resets]).toEqual([['overflow'], ['overflow'], ['overflow']])
  })

  test('a view that has ended meanwhile stays ended, and a new one has no reset', async () => {
    const [, two] = [await topic(1), await topic(2)]
    await clog()
    await flood(2, 100)
    await clock.advance(500)
    slow.send({ type: 'unsubscribe', id: two.id })
    slow.send({ type: 'subscribe', id: 'new', resource: 'notes', where: { topicId: 3 } })
    await clock.settle()
    slow.resume()
    await clock.advance(500)
    expect(two.end).toBeDefined()
    expect(two.resets).toEqual([])
    expect(await slow.next('snapshot')).toMatchObject({ id: 'new', done: true })
    expect(slow.messages.filter((message) => message.type === 'reset')).toHaveLength(1)
  })

  test('a record that changes all the time is no reason', async () => {
    const one = await topic(1)
    await clog()
    for (let n = 0; n < 200; n++) {
      notes.update(1, { text: text(n, 900) })
      await clock.settle()
    }
    await clock.advance(5_000)
    slow.resume()
    await one.until((rows) => rows[0]?.['text'] === text(199, 900))
    expect(one.resets).toEqual([])
  })
})

describe('when permissions change while much waits', () => {
  test('a snapshot made under the old ones is made anew', async () => {
    await topic(1)
    for (let n = 0; n < 40; n++) notes.create({ topicId: 2, text: text(n, 200) })
    await clog()
    slow.send({ type: 'subscribe', id: 'big', resource: 'notes', where: { topicId: { in: [2, 3] } } })
    await clock.settle()
    const secret = 'written after the grant was gone'
    grants.delete(2)
    await clock.settle()
    notes.create({ topicId: 2, text: secret })
    await clock.settle()
    slow.resume()
    await clock.settle()
    const parts = slow.messages.flatMap((message) =>
      message.type === 'snapshot' && message.id === 'big' ? [message] : [],
    )
    expect(parts.flatMap(({ rows }) => rows.map(({ key }) => key))).toEqual([3])
    expect(parts.at(-1)).toMatchObject({ done: true })
    expect(slow.messages.filter((message) => message.type === 'reset')).toMatchObject([{ id: 'big', reason: 'policy' }])
    expect(slow.received).not.toContain(secret)
  })

  test('nothing of it goes out while they are asked', async () => {
    const two = await topic(2)
    await topic(1)
    for (let n = 0; n < 40; n++) notes.create({ topicId: 2, text: text(n, 200) })
    await two.until((rows) => rows.length === 41)
    await clog()
    slow.send({ type: 'subscribe', id: 'big', resource: 'notes', where: { topicId: { in: [2, 3] } } })
    notes.update(2, { text: 'the last word' })
    await clock.settle()
    asked.close()
    grants.delete(2)
    await clock.settle()
    const [before] = [slow.frames.length]
    slow.resume()
    await clock.settle()
    const told = slow.frames.slice(before).join()
    expect(told).not.toContain('the last word')
    expect(told).not.toContain('"topicId":2')
    asked.open()
    await two.until((rows) => rows.length === 0)
    expect(two.resets).toEqual([])
    expect((await slow.next('snapshot')).rows).toMatchObject([{ key: 3 }])
    expect(slow.received).not.toContain('the last word')
  })

  test('a view that was given up begins once, with a reset for the overflow alone', async () => {
    const [one, two] = [await topic(1), await topic(2)]
    await clog()
    await flood(2, 100)
    await clock.advance(500)
    grants.delete(2)
    await clock.settle()
    grants.create({ id: 2 })
    await clock.settle()
    slow.resume()
    await two.until((rows) => rows.length === 51)
    expect([one.resets, two.resets]).toEqual([['overflow'], ['overflow']])
    const snapshots = two.log.filter((message) => message.type === 'snapshot' && message.part === 0)
    expect(snapshots).toHaveLength(2)
  })
})

test('a reader that is slow but not still is not sent away', async () => {
  await topic(1)
  await clog()
  notes.update(1, { text: 'waits' })
  await clock.advance(8_000)
  slow.resume()
  await clog()
  await clock.advance(8_000)
  slow.resume()
  await clog()
  await clock.advance(8_000)
  expect(slow.closed).toBeUndefined()
  slow.resume()
  await clock.settle()
})
