import { type Api, type MemoryStore, type Row, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Gated, gated } from './gated.ts'

type Note = { id: string; rank: number; text: string }

let clock: FakeClock
let notes: MemoryStore<Note>
let behind: Gated<Note>
let api: Api
let client: TestClient

beforeEach(async () => {
  clock = fakeClock()
  notes = memoryStore<Note>({ entity: 'Note', fields: { id: 'string', rank: 'integer', text: 'string' } })
  behind = gated(notes)
  api = createApi({
    resources: [defineResource('notes', { store: behind.store, permissions: [allowAny], fields: ['rank', 'text'] })],
    changes: [notes],
    clock,
  })
  client = await connect(api)
})

afterEach(async () => {
  await client.close()
  expect(api.stats()).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 1, timers: 0 })
  await api.close()
  expect(clock.timers).toBe(0)
})

const add = (rank: number, text = '', id = `n${rank}`) => notes.create({ id, rank, text })
const subscribe = (query: object = {}) => client.subscribe({ resource: 'notes', ...query })
const bytes = (frame: string | Uint8Array | undefined): number => new TextEncoder().encode(String(frame)).length

describe('the parts of a snapshot', () => {
  test.each([
    ['letters', 'x', 20_000, 20],
    ['characters of three bytes', '日', 20_000, 20],
    ['characters of two units', '😀', 10_000, 20],
    ['what JSON escapes', '\u0001', 9_000, 20],
    ['many small rows', 'x', 1, 6_000],
  ])('hold at most 256 KiB each, of %s', async (_name, letter, length, count) => {
    for (let rank = 0; rank < count; rank++) add(rank, letter.repeat(length), `${'key'.repeat(20)}${rank}`)
    const before = client.frames.length
    const view = await subscribe({ order: [['rank', 'asc']] })
    const parts = client.frames.slice(before)
    expect(parts.length).toBeGreaterThan(1)
    for (const part of parts) expect(bytes(part)).toBeLessThanOrEqual(262_144)
    // Nor are they needlessly many.
    for (const part of parts.slice(0, -1)) expect(bytes(part)).toBeGreaterThan(100_000)
    expect(view.rows).toHaveLength(count)
  })

  test('are one for a row that is larger by itself', async () => {
    add(1, 'x'.repeat(300_000))
    add(2)
    const view = await subscribe({ order: [['rank', 'asc']] })
    const parts = view.log.flatMap((message) => (message.type === 'snapshot' ? [message.rows.length] : []))
    expect(parts).toEqual([1, 1])
  })

  test('tell the order first and the position last', async () => {
    for (let rank = 0; rank < 3; rank++) add(rank, 'x'.repeat(200_000))
    const view = await subscribe({ order: [['rank', 'desc']] })
    const told = view.log.map(
      (message) => message.type === 'snapshot' && [message.order, message.position !== undefined],
    )
    const order = [
      ['rank', 'desc', 'integer'],
      ['id', 'asc', 'string'],
    ]
    expect(told).toEqual([
      [order, false],
      [undefined, false],
      [undefined, true],
    ])
  })
})

describe('a view of many rows', () => {
  const fill = (count: number): void => {
    for (let rank = notes.find().length; rank < count; rank++) add(rank)
  }

  test('holds 10,000, and not one more', async () => {
    fill(10_000)
    const view = await subscribe()
    expect(view.rows).toHaveLength(10_000)
    fill(10_001)
    expect(await view.next('reset')).toMatchObject({ reason: 'overflow' })
    expect(await view.next('end')).toMatchObject({ error: { code: 'limit_exceeded' } })
    await expect(subscribe()).rejects.toMatchObject({ code: 'limit_exceeded' })
    const window = await subscribe({ limit: 10_000, order: [['rank', 'asc']] })
    expect(window.rows).toHaveLength(10_000)
    notes.delete('n0')
    await window.until((rows) => rows.at(-1)?.['rank'] === 10_000)
    await window.unsubscribe()
  })

  test('ends, too, when it grows by a change without keys', async () => {
    fill(9_999)
    const view = await subscribe()
    await notes.transaction((inner) => {
      for (let rank = 20_000; rank < 22_000; rank++) inner.create({ id: `n${rank}`, rank, text: '' })
    })
    expect(await view.next('reset')).toMatchObject({ reason: 'overflow' })
    expect(await view.next('end')).toMatchObject({ error: { code: 'limit_exceeded' } })
  })
})

describe('what changes while the rows are read', () => {
  const enter = async (query: object, change: () => void): Promise<readonly Row[]> => {
    behind.find.close()
    client.send({ type: 'subscribe', id: 'v', resource: 'notes', ...query })
    await clock.settle()
    expect(behind.find.waiting).toBe(1)
    change()
    await clock.settle()
    await client.receiveNothing()
    behind.find.open()
    const { rows } = await client.next('snapshot')
    await client.receiveNothing()
    return rows.map(({ data }) => data)
  }

  test.each<[string, () => void, number[]]>([
    ['a row that is new', () => add(4), [1, 2, 3, 4]],
    ['a row that goes', () => notes.delete('n2'), [1, 3]],
    ['a row that leaves the filter', () => notes.update('n2', { rank: 50 }), [1, 3]],
    ['a row that enters it', () => notes.update('n9', { rank: 3 }), [1, 2, 3, 3]],
    [
      'a row that comes and goes',
      () => {
        add(5)
        notes.delete('n5')
      },
      [1, 2, 3],
    ],
  ])('is in the snapshot as it is: %s', async (_name, change, ranks) => {
    for (const rank of [1, 2, 3, 9]) add(rank)
    const rows = await enter({ where: { rank: { lt: 9 } }, order: [['rank', 'asc']] }, change)
    expect(rows.map(({ rank }) => rank)).toEqual(ranks)
  })

  test('is asked again when it is too much', async () => {
    for (const rank of [1, 2, 3]) add(rank)
    const before = behind.calls.find
    const rows = await enter({ where: { rank: { lt: 9 } } }, () => {
      for (let rank = 100; rank < 1_200; rank++) add(rank)
    })
    expect(rows).toHaveLength(3)
    expect(behind.calls.find - before).toBe(2)
  })

  test('again and again ends the subscription, which may come back', async () => {
    behind.find.close()
    client.send({ type: 'subscribe', id: 'v', resource: 'notes', where: { rank: { lt: 0 } } })
    for (let attempt = 0; attempt < 3; attempt++) {
      await clock.settle()
      expect(behind.find.waiting).toBe(1)
      for (let rank = 0; rank < 1_100; rank++) add(attempt * 10_000 + rank)
      await clock.settle()
      behind.find.letOne()
    }
    expect(await client.next('end')).toMatchObject({ id: 'v', error: { code: 'unavailable' }, again: true })
    behind.find.open()
  })
})

test('subscriptions that come together ask one query, and one that comes during it the next', async () => {
  add(1)
  behind.find.close()
  for (const id of ['a', 'b', 'c']) client.send({ type: 'subscribe', id, resource: 'notes' })
  await clock.settle()
  client.send({ type: 'subscribe', id: 'd', resource: 'notes' })
  await clock.settle()
  expect(behind.calls.find).toBe(1)
  behind.find.open()
  for (let i = 0; i < 4; i++) expect((await client.next('snapshot')).rows).toHaveLength(1)
  expect(behind.calls.find).toBeLessThanOrEqual(2)
  add(2)
  expect(await client.next('changes')).toMatchObject({ changes: [{ action: 'create' }] })
  await client.receiveNothing()
})
