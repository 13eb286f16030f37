import {
  type Api,
  type ChannelLayer,
  type MemoryStore,
  type Store,
  allowAny,
  createApi,
  defineResource,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

type Note = { id: number; topicId: number }

let clock: FakeClock
let notes: MemoryStore<Note>
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer' },
    rows: [{ id: 1, topicId: 1 }],
  })
})

function open(store: Partial<Store<Note>> = {}, layer: Partial<ChannelLayer> = {}): Api {
  const real = memoryLayer({ clock })
  const whole: ChannelLayer = {
    open: (events) => real.open(events),
    join: (group) => real.join(group),
    leave: (group) => real.leave(group),
    publish: (group, entry) => real.publish(group, entry),
    history: (group, since) => real.history(group, since),
    close: () => real.close(),
    ...layer,
  }
  const resource = defineResource('notes', {
    store: {
      entity: 'Note',
      describe: () => notes.describe(),
      read: (keys) => notes.read(keys),
      find: (query) => notes.find(query),
      create: (data) => notes.create(data as Note),
      update: (key, patch, where) => notes.update(key, patch as Note, where),
      delete: (key, where) => notes.delete(key, where),
      ...store,
    },
    input: { create: ['topicId'] },
    permissions: [allowAny],
  })
  return createApi({
    resources: [resource],
    changes: [notes],
    clock,
    layer: whole,
    report: (_error, { during }) => reports.push(during),
  })
}

describe('a store that fails', () => {
  test('to read changes sends nothing, and is asked again', async () => {
    let broken = true
    const api = open({
      read(keys) {
        if (broken) throw new Error('gone')
        return notes.read(keys)
      },
    })
    const client = await connect(api)
    const view = await client.subscribe({ resource: 'notes' })
    notes.update(1, { topicId: 5 })
    await client.receiveNothing()
    await clock.advance(2_500)
    expect(reports).toContain('store.read')
    broken = false
    notes.create({ topicId: 6 })
    await clock.advance(1_500)
    expect(view.rows).toEqual(notes.find())
    await api.close()
    expect(clock.timers).toBe(0)
  })

  test('to answer a query in time ends the subscription, which may come again', async () => {
    const api = open({ find: () => new Promise(() => undefined) })
    const client = await connect(api)
    client.send({ type: 'subscribe', id: 'a', resource: 'notes' })
    await clock.advance(5_500)
    expect(await client.next('end')).toMatchObject({ id: 'a', error: { code: 'timeout' }, again: true })
    expect(api.stats()).toMatchObject({ subscriptions: 0, feeds: 0 })
  })

  test('with an error of its own shows nothing of it', async () => {
    const api = open({
      find: () => {
        throw new Error('relation "notes" does not exist')
      },
    })
    const client = await connect(api)
    client.send({ type: 'subscribe', id: 'a', resource: 'notes' })
    expect(await client.next('end')).toMatchObject({ error: { code: 'unavailable' } })
    expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ error: { code: 'internal' } })
    expect(client.received).not.toContain('relation')
  })
})

describe('a layer that fails', () => {
  test('to join ends the subscription, which may come again', async () => {
    let broken = true
    const real = memoryLayer({ clock })
    const api = open(
      {},
      {
        open: (events) => real.open(events),
        join: (group) => (broken && group !== 'rt:sessions' ? Promise.reject(new Error('away')) : real.join(group)),
      },
    )
    const client = await connect(api)
    client.send({ type: 'subscribe', id: 'a', resource: 'notes' })
    expect(await client.next('end')).toMatchObject({ error: { code: 'unavailable' }, again: true })
    broken = false
    expect((await client.subscribe({ resource: 'notes' })).rows).toHaveLength(1)
  })

  test('to publish leaves this process with its own changes', async () => {
    const api = open({}, { publish: () => Promise.reject(new Error('away')) })
    const client = await connect(api)
    const view = await client.subscribe({ resource: 'notes' })
    expect(await client.request({ resource: 'notes', action: 'create', data: { topicId: 2 } })).toMatchObject({
      ok: true,
    })
    await view.until((rows) => rows.length === 2)
    expect(reports).toContain('layer.publish')
  })

  test('to answer in time makes nobody wait longer than two seconds', async () => {
    const api = open({}, { publish: () => new Promise(() => undefined) })
    const client = await connect(api)
    await client.subscribe({ resource: 'notes' })
    client.send({ type: 'request', id: 'w', resource: 'notes', action: 'create', data: { topicId: 2 } })
    await clock.advance(2_100)
    expect(await client.reply('w')).toMatchObject({ ok: true })
  })
})

test('a transaction of many records is one query for each view, and its writer sees it', async () => {
  const finds: unknown[] = []
  const api = open({
    find(query) {
      finds.push(query)
      return notes.find(query)
    },
    async create() {
      const created = await notes.transaction((access) => {
        for (let i = 0; i < 1_500; i++) access.create({ topicId: 2 })
        return access.create({ topicId: 1 })
      })
      return { row: created.row }
    },
  })
  const client = await connect(api)
  const view = await client.subscribe({ resource: 'notes' })
  const before = finds.length
  expect(await client.request({ resource: 'notes', action: 'create', data: { topicId: 2 } })).toMatchObject({
    ok: true,
  })
  expect(view.rows).toHaveLength(1_502)
  expect(finds.length - before).toBeLessThanOrEqual(2)
})

test('a tick is one read for all feeds and keys, and nothing is read for nobody', async () => {
  const reads: (readonly unknown[])[] = []
  const api = open({
    read(keys) {
      reads.push(keys)
      return notes.read(keys)
    },
  })
  notes.create({ topicId: 9 })
  await clock.settle()
  expect(reads).toEqual([])
  const client = await connect(api)
  for (let topicId = 1; topicId <= 5; topicId++) await client.subscribe({ resource: 'notes', where: { topicId } })
  for (let i = 0; i < 10; i++) notes.create({ topicId: 1 + (i % 5) })
  notes.update(1, { topicId: 2 })
  await clock.settle()
  expect(reads).toHaveLength(1)
  expect(reads[0]).toHaveLength(11)
})
