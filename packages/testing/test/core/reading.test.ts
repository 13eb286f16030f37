import {
  type Api,
  type LayerEvents,
  type MemoryStore,
  type Store,
  allowAny,
  createApi,
  defineResource,
  groupBy,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door, type Gated, gated } from './gated.ts'

type Note = { id: number; topicId: number; text: string }

let clock: FakeClock
let notes: MemoryStore<Note>
let api: Api
let client: TestClient
let layerEvents: LayerEvents | undefined
let fails: { find: boolean; read: boolean }
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  fails = { find: false, read: false }
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string' },
    rows: [1, 2, 3].map((id) => ({ id, topicId: 1, text: 'a' })),
  })
})

afterEach(async () => {
  await client.close()
  expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0, timers: 0 })
  await api.close()
  expect(clock.timers).toBe(0)
})

/** Opens an API over a store whose reads, and answers to a create, wait at doors, and whose reads can be made to fail. */
async function open(late = false, created = new Door()): Promise<Gated<Note>> {
  const doors = gated(notes, { late })
  const store: Store<Note> = {
    ...doors.store,
    async create(data) {
      const result = await doors.store.create(data)
      return created.pass(() => result)
    },
    read(keys) {
      const rows = doors.store.read(keys)
      if (fails.read) throw new Error('the database is away')
      return rows
    },
    find(query) {
      const rows = doors.store.find(query)
      if (fails.find) throw new Error('the database is away')
      return rows
    },
  }
  const layer = memoryLayer({ clock })
  api = createApi({
    resources: [
      defineResource('notes', { store, permissions: [allowAny], input: { create: ['topicId', 'text'] } }),
      defineResource('titles', {
        store,
        permissions: [allowAny],
        fields: ['id', 'topicId'],
        groups: groupBy('topicId'),
      }),
    ],
    changes: [notes],
    clock,
    layer: {
      open: (events) => {
        layerEvents = events
        return layer.open(events)
      },
      join: (group) => layer.join(group),
      leave: (group) => layer.leave(group),
      publish: (group, entry) => layer.publish(group, entry),
      history: (group, since) => layer.history(group, since),
      close: () => layer.close(),
    },
    report: (_error, { during }) => reports.push(during),
  })
  client = await connect(api)
  return doors
}

const subscribe = (query: object = {}) => client.subscribe({ resource: 'notes', ...query })

describe('a read that is old when it comes', () => {
  test('is followed by another, and what is shown never goes back', async () => {
    const { read, calls } = await open(true)
    const view = await subscribe()
    read.close()
    notes.update(1, { text: 'b' })
    await clock.settle()
    notes.update(1, { text: 'c' })
    notes.update(2, { text: 'c' })
    await clock.settle()
    expect(calls.read).toBe(1)
    read.letOne()
    await clock.settle()
    read.open()
    await view.until((rows) => rows[1]?.['text'] === 'c')
    const texts = view.log.flatMap((message) =>
      message.type === 'changes'
        ? message.changes.filter(({ key }) => key === 1).map(({ data }) => data?.['text'])
        : [],
    )
    expect(texts).toEqual(['b', 'c'])
    expect(calls).toMatchObject({ read: 2, keys: 3 })
  })

  test('shows no record again that is gone', async () => {
    const { read } = await open(true)
    const view = await subscribe()
    read.close()
    notes.update(1, { text: 'b' })
    await clock.settle()
    notes.delete(1)
    await clock.settle()
    read.open()
    await view.until((rows) => rows.length === 2)
    await client.receiveNothing()
  })

  test('of a query is brought up to date before it is shown', async () => {
    const { find } = await open(true)
    find.close()
    client.send({ type: 'subscribe', id: 'v', resource: 'notes', order: [['text', 'desc']], limit: 2 })
    await clock.settle()
    notes.delete(1)
    notes.update(2, { text: 'z' })
    notes.create({ id: 9, topicId: 1, text: 'y' })
    await clock.settle()
    find.open()
    expect((await client.next('snapshot')).rows.map(({ key }) => key)).toEqual([2, 9])
    await client.receiveNothing()
  })

  test('of a query that lacks a row behind its window is asked again', async () => {
    const { find, calls } = await open(true)
    notes.create({ id: 4, topicId: 1, text: 'a' })
    find.close()
    client.send({ type: 'subscribe', id: 'v', resource: 'notes', limit: 2 })
    await clock.settle()
    // The query saw 1, 2 and 3; 4 is behind them and moves up.
    notes.delete(1)
    notes.delete(2)
    await clock.settle()
    find.open()
    const shown = new Set((await client.next('snapshot')).rows.map(({ key }) => key))
    await clock.settle()
    for (const message of client.messages)
      if (message.type === 'changes') for (const { key } of message.changes) shown.add(key)
    expect([...shown]).toEqual([3, 4])
    expect(calls.find).toBe(2)
  })
})

describe('one read', () => {
  test('serves both resources of a store, each with its own fields', async () => {
    const { calls } = await open()
    const view = await subscribe()
    const titles = await client.subscribe({ resource: 'titles', where: { topicId: 1 } })
    notes.update(1, { text: 'b', topicId: 2 })
    notes.create({ id: 4, topicId: 1, text: 'new' })
    await titles.until((rows) => rows[0]?.['id'] === 2)
    expect(titles.rows).toEqual([2, 3, 4].map((id) => ({ id, topicId: 1 })))
    expect(view.rows).toEqual(notes.find())
    expect(calls).toMatchObject({ read: 1, keys: 2 })
  })

  test('holds at most a thousand keys', async () => {
    const { calls } = await open()
    const view = await subscribe()
    for (let id = 10; id < 2_510; id++) notes.create({ id, topicId: 1, text: '' })
    await view.until((rows) => rows.length === 2_503)
    expect(calls).toMatchObject({ read: 3, keys: 2_500 })
    const positions = view.log.flatMap((message) => (message.type === 'changes' ? [[message.from, message.to]] : []))
    // Until all has been read the position stays where it was.
    const [begin] = positions[0] ?? []
    expect(positions.slice(0, -1).every(([from, to]) => from === begin && to === begin)).toBe(true)
    expect(positions.at(-1)?.[1]).toBe(view.position)
    expect(view.position).not.toBe(begin)
  })
})

test('a write that is answered while its change is read waits for that read, and no longer', async () => {
  const answered = new Door()
  const { read } = await open(false, answered)
  const view = await subscribe()
  read.close()
  answered.close()
  client.send({ type: 'request', id: 'w', resource: 'notes', action: 'create', data: { topicId: 1, text: 'w' } })
  await clock.settle()
  expect(read.waiting).toBe(1)
  // The change is on its way before the store has answered.
  answered.open()
  await client.receiveNothing()
  read.open()
  const reply = await client.reply('w')
  expect(reply).toMatchObject({ ok: true, key: 4 })
  expect(reply).not.toHaveProperty('pending')
  expect(view.rows).toHaveLength(4)
})

describe('while the store cannot be read', () => {
  test('a view keeps its place, and who comes back later gets what was missed', async () => {
    await open()
    const view = await subscribe()
    const { position } = view
    fails.read = true
    notes.update(1, { text: 'missed' })
    await clock.advance(3_500)
    expect(view.position).toBe(position)
    await client.close()
    fails.read = false
    await clock.advance(1_500)
    client = await connect(api)
    const resumed = await client.resubscribe(view)
    expect(resumed.resets).toEqual([])
    expect(resumed.rows[0]).toMatchObject({ text: 'missed' })
    expect(new Set(reports)).toEqual(new Set(['store.read']))
  })

  test('a write is done, and its reply says that the views lag', async () => {
    await open()
    const view = await subscribe()
    fails.read = true
    client.send({ type: 'request', id: 'w', resource: 'notes', action: 'create', data: { topicId: 1, text: 'w' } })
    await clock.advance(1_900)
    await client.receiveNothing()
    await clock.advance(200)
    expect(await client.reply('w')).toMatchObject({ ok: true, key: 4, pending: true })
    fails.read = false
    await clock.advance(1_000)
    expect(view.rows).toHaveLength(4)
  })

  test('a view that must be asked again is asked each second', async () => {
    await open()
    const view = await subscribe()
    fails.find = true
    await notes.transaction((inner) => {
      for (let id = 10; id < 1_110; id++) inner.create({ id, topicId: 1, text: '' })
    })
    await clock.advance(2_500)
    expect(reports).toEqual(['store.find', 'store.find', 'store.find'])
    expect(view.rows).toHaveLength(3)
    // What is announced by key goes on meanwhile.
    notes.update(1, { text: 'b' })
    await view.until((rows) => rows[0]?.['text'] === 'b')
    fails.find = false
    await clock.advance(1_000)
    expect(view.rows).toEqual(notes.find())
    expect(view.resets).toEqual([])
  })

  test('a view that ends is not asked any more', async () => {
    const { calls } = await open()
    const view = await subscribe()
    fails.find = true
    await notes.transaction((inner) => {
      for (let id = 10; id < 1_110; id++) inner.create({ id, topicId: 1, text: '' })
    })
    await clock.settle()
    await view.unsubscribe()
    const { find } = calls
    await clock.advance(5_000)
    expect(calls.find).toBe(find)
  })
})

describe('when entries may have been lost', () => {
  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a query', () => client.send({ type: 'subscribe', id: 'n', resource: 'notes', limit: 2 })],
    ['a read', () => notes.update(1, { text: 'b' })],
  ])('during %s, all views come to be whole', async (_name, begin) => {
    const doors = await open(true)
    const [view, window] = [await subscribe(), await subscribe({ order: [['text', 'desc']], limit: 2 })]
    doors.find.close()
    doors.read.close()
    begin()
    await clock.settle()
    layerEvents?.lost()
    await clock.settle()
    notes.update(3, { text: 'c' })
    notes.delete(2)
    await clock.settle()
    doors.find.open()
    doors.read.open()
    await clock.settle()
    expect(view.resets).toEqual(['gap'])
    expect(view.rows).toEqual(notes.find())
    expect(window.keys).toEqual([3, 1])
  })

  test('again and again, the last word counts', async () => {
    await open()
    const view = await subscribe()
    for (let i = 0; i < 5; i++) {
      layerEvents?.lost()
      notes.update(1, { text: `${i}` })
      layerEvents?.lost()
    }
    await view.until((rows) => rows[0]?.['text'] === '4')
    expect(view.resets.length).toBeGreaterThan(0)
    notes.update(1, { text: 'alive' })
    await view.until((rows) => rows[0]?.['text'] === 'alive')
  })
})
