import { type Api, type MemoryStore, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/seeded-random.ts'

type Note = { id: number; text: string }

/** Small numbers, so that little is needed to pass them. */
const limits = { sendSoft: 2_000, sendHard: 20_000, sendTimeout: 10_000, snapshotPart: 1_500 }

let clock: FakeClock
let store: MemoryStore<Note>
let api: Api
let slow: TestClient
let quick: TestClient

beforeEach(async () => {
  clock = fakeClock()
  store = memoryStore<Note>({ entity: 'Note', fields: { id: 'integer', text: 'string' } })
  const notes = defineResource('notes', {
    store,
    permissions: [allowAny],
    input: { create: ['id', 'text'], update: ['text'] },
  })
  api = createApi({
    resources: [notes],
    changes: [store],
    clock,
    limits: { ...limits, rate: 1e9, burst: 1e9, heartbeatInterval: 1e9 },
  })
  slow = await connect(api)
  quick = await connect(api)
})

const text = (n: number, size = 100): string => `${n}:`.padEnd(size, 'x')
const subscribe = (client: TestClient, query: object = {}) => client.subscribe({ resource: 'notes', ...query })

/** Fills the socket of a client that does not read. */
async function clog(): Promise<void> {
  for (let n = 0; n < 25; n++) {
    store.update(1, { text: text(n) })
    await clock.settle()
  }
}

describe('a client that does not read', () => {
  test('gets the newest state of each record once it does', async () => {
    store.create({ id: 1, text: 'a' })
    const [view, other] = [await subscribe(slow), await subscribe(quick)]
    slow.pause()
    await clog()
    const sent = slow.frames.length
    for (let n = 0; n < 40; n++) {
      store.update(1, { text: text(n, 50) })
      if (n === 5) store.create({ id: 2, text: 'comes and goes' })
      if (n === 10) store.delete(2)
      if (n === 15) store.create({ id: 3, text: 'stays' })
      await clock.settle()
    }
    expect(slow.frames.length).toBe(sent)
    expect(other.rows).toEqual(store.find())
    slow.resume()
    await view.until((rows) => rows.length === 2)
    expect(view.rows).toEqual(store.find())
    expect(slow.frames.length).toBe(sent + 1)
    expect(slow.received).not.toContain('comes and goes')
    expect(view.resets).toEqual([])
  })

  test('has the reply to its write after the changes', async () => {
    store.create({ id: 1, text: 'a' })
    const view = await subscribe(slow)
    slow.pause()
    await clog()
    slow.send({ type: 'request', id: 'w', resource: 'notes', action: 'create', data: { id: 7, text: 'mine' } })
    await clock.settle()
    store.update(1, { text: 'later' })
    await clock.settle()
    slow.resume()
    expect(await slow.reply('w')).toMatchObject({ ok: true })
    expect(view.keys).toContain(7)
    const tail = slow.messages.slice(-2).map(({ type }) => type)
    expect(tail).toEqual(['changes', 'reply'])
  })

  test('is made to start over when too much is waiting, and others notice nothing', async () => {
    store.create({ id: 1, text: 'a' })
    const [view, other] = [await subscribe(slow), await subscribe(quick)]
    slow.pause()
    await clog()
    for (let id = 2; id < 200; id++) store.create({ id, text: text(id, 300) })
    await clock.advance(1_000)
    expect(other.rows).toHaveLength(199)
    const held = slow.frames.length
    await clock.advance(5_000)
    expect(slow.frames.length).toBe(held)
    slow.resume()
    await view.until((rows) => rows.length === 199)
    expect(view.resets).toEqual(['overflow'])
    expect(view.rows).toEqual(store.find())
  })

  test('is closed in the end', async () => {
    store.create({ id: 1, text: 'a' })
    await subscribe(slow)
    await subscribe(quick)
    slow.pause()
    await clog()
    store.update(1, { text: 'waiting' })
    await clock.advance(9_000)
    expect(slow.closed).toBeUndefined()
    await clock.advance(13_000)
    expect(slow.closed).toMatchObject({ code: 4450 })
    expect(quick.closed).toBeUndefined()
    expect(api.stats()).toMatchObject({ connections: 1, subscriptions: 1 })
  })
})

test('the parts of a snapshot wait for room, and changes come behind them', async () => {
  for (let id = 1; id <= 60; id++) store.create({ id, text: text(id) })
  slow.pause()
  slow.send({ type: 'subscribe', id: 'big', resource: 'notes' })
  await clock.settle()
  expect(slow.frames.length).toBeLessThan(5)
  store.update(60, { text: 'changed while it waits' })
  store.delete(1)
  await clock.settle()
  slow.resume()
  const seen = new Map<unknown, unknown>()
  const types: string[] = []
  for (;;) {
    const message = await slow.next()
    types.push(message.type)
    if (message.type === 'snapshot') for (const { key, data } of message.rows) seen.set(key, data)
    if (message.type !== 'changes') continue
    for (const { key, data } of message.changes)
      if (data === undefined) seen.delete(key)
      else seen.set(key, data)
    break
  }
  expect(types.indexOf('changes')).toBe(types.length - 1)
  expect([...seen.values()]).toEqual(store.find())
})

test('a subscription ended while its snapshot waits sends no more of it', async () => {
  for (let id = 1; id <= 60; id++) store.create({ id, text: text(id) })
  slow.pause()
  slow.send({ type: 'subscribe', id: 'big', resource: 'notes' })
  await clock.settle()
  slow.send({ type: 'unsubscribe', id: 'big' })
  slow.resume()
  await clock.settle()
  expect(slow.messages.at(-1)).toEqual({ type: 'end', id: 'big' })
  expect(slow.messages.filter(({ type }) => type === 'end')).toHaveLength(1)
  expect(slow.messages.some((message) => message.type === 'snapshot' && message.done)).toBe(false)
})

test('whoever stops and goes on at any time ends with the rows there are', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed)
    const client = await connect(api)
    const view = await subscribe(client)
    for (let step = 0; step < 60; step++) {
      const dice = random.integer(8)
      const id = 1 + random.integer(6)
      if (dice === 0) client.pause()
      else if (dice === 1) client.resume()
      else if (dice === 2) await clock.settle()
      else if (dice === 3) await clock.advance(random.integer(4_000))
      else if (store.read([id]).length === 0) store.create({ id, text: text(step, 600) })
      else if (dice === 4) store.delete(id)
      else store.update(id, { text: text(step, random.integer(900)) })
    }
    client.resume()
    await clock.advance(500)
    if (client.closed === undefined) {
      await view.until(() => true)
      expect(view.rows, `seed ${seed}`).toEqual(store.find())
    } else expect(client.closed.code).toBe(4450)
    await client.close()
  }
})
