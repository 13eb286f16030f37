import {
  type Api,
  type ApiOptions,
  type MemoryStore,
  type Permission,
  RtapiError,
  type Session,
  createApi,
  defineResource,
  memoryBus,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type FaultyLayer, type TestClient, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door } from './gated.ts'

type Note = { id: number; owner: string; text: string }

let clock: FakeClock
let notes: MemoryStore<Note>
/** In the way of every write. */
let door: Door
/** What a write does instead of writing, or after it. */
let failing: (() => Promise<never>) | undefined
let writes: number
let layer: FaultyLayer
let apis: readonly Api[]
let hidden: string | undefined
let session: (token: string) => Session
const reports: string[] = []

const read: Permission<Note> = {
  scope: ({ session: { user }, action }) =>
    action === 'get' && hidden === user?.id ? { text: 'nothing has this text' } : true,
}

beforeEach(() => {
  clock = fakeClock()
  door = new Door()
  failing = undefined
  writes = 0
  hidden = undefined
  reports.length = 0
  session = (token) => ({ user: { id: token } })
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', owner: 'string', text: 'string' },
    rows: [{ id: 1, owner: 'ada', text: 'old' }],
  })
  const bus = memoryBus({ clock })
  layer = faultyLayer(bus.layer(), { seed: 1, clock })
  apis = [open({ layer, changes: [notes] }), open({ layer: bus.layer() })]
})

afterEach(async () => {
  door.open()
  for (const api of apis) await api.close()
  await clock.settle()
  expect(clock.timers).toBe(0)
})

function open(options: Partial<ApiOptions<never>>): Api {
  const written = <T>(work: () => T | Promise<T>): Promise<T> =>
    Promise.resolve(
      door.pass(async () => {
        writes++
        const result = await work()
        if (failing !== undefined) await failing()
        return result
      }),
    )
  return createApi({
    resources: [
      defineResource('notes', {
        store: {
          entity: notes.entity,
          describe: () => notes.describe(),
          read: (keys) => notes.read(keys),
          find: (query) => notes.find(query),
          create: (data: Partial<Note>) => written(() => notes.create(data)),
          update: (key, patch: Partial<Note>, where) => written(() => notes.update(key, patch, where)),
          delete: (key, where) => written(() => notes.delete(key, where)),
        },
        permissions: [
          { allows: ({ action, session: { user } }) => !(action === 'delete' && user?.id === 'eve') },
          read,
        ],
        input: { create: ['owner', 'text'], update: ['text'] },
        ownActions: {
          count: { run: () => written(() => ({ writes })) },
          much: { run: () => written(() => 'x'.repeat(20_000)) },
        },
      }),
    ],
    clock,
    authenticate: ({ token }) => (token === undefined || token === null ? null : session(token)),
    report: (_error, { during }) => reports.push(during),
    ...options,
  })
}

const as = (token: string, process = 0): Promise<TestClient> => connect(apis[process] as Api, { token })
const create = { resource: 'notes', action: 'create', data: { owner: 'ada', text: 'new' }, idempotencyKey: 'k' }

describe('a repeated write', () => {
  test.each([
    ['create', { data: { owner: 'ada', text: 'new' } }],
    ['update', { key: 1, data: { text: 'new' } }],
    ['delete', { key: 1 }],
    ['count', {}],
  ])('runs once and is answered as the first: %s', async (action, rest) => {
    const message = { id: 'r', resource: 'notes', action, ...rest, idempotencyKey: 'k' }
    const first = await (await as('ada')).request(message)
    expect(first).toMatchObject({ ok: true })
    for (const process of [0, 1]) expect(await (await as('ada', process)).request(message)).toEqual(first)
    expect(writes).toBe(1)
  })

  test('is one whatever the order of its names', async () => {
    const client = await as('ada')
    const first = await client.request(create)
    const { data: _data, ...rest } = create
    const again = await client.request({ ...rest, data: { text: 'new', owner: 'ada' } })
    expect(again).toMatchObject({ ok: true, key: first.ok ? first.key : undefined })
    expect(writes).toBe(1)
  })

  test.each([
    ['other data', { data: { owner: 'ada', text: 'other' } }],
    ['another action', { action: 'much' }],
    ['other fields', { fields: ['id'] }],
  ])('that asks for something else is a conflict: %s', async (_name, other) => {
    const client = await as('ada')
    await client.request(create)
    const { data, ...rest } = { ...create, ...other }
    const reply = await client.request(rest.action === 'create' ? { ...rest, data } : rest)
    expect(reply).toMatchObject({ ok: false, error: { code: 'conflict', retryable: false } })
    expect(writes).toBe(1)
  })

  test('of another user is another write, and tells nothing of the first', async () => {
    await (await as('ada')).request(create)
    const other = await (await as('bob')).request({ ...create, data: { owner: 'bob', text: 'his' } })
    expect(other).toMatchObject({ ok: true, data: { owner: 'bob' } })
    // The ids 7 and '7' are two users.
    session = (token) => ({ user: { id: token === 'number' ? 7 : '7' } })
    for (const token of ['number', 'text']) await (await as(token)).request(create)
    expect(writes).toBe(4)
  })

  test('shows the record as it is now, and only what may be seen now', async () => {
    const client = await as('ada')
    const first = await client.request(create)
    const key = first.ok ? first.key : undefined
    notes.update(key as number, { text: 'changed since' })
    expect(await client.request(create)).toMatchObject({ ok: true, key, data: { text: 'changed since' } })
    hidden = 'ada'
    const blind = await client.request({ id: 'r', ...create })
    expect(blind).toEqual({ type: 'reply', id: 'r', ok: true, key, tx: first.ok ? first.tx : '' })
    expect(writes).toBe(1)
  })

  test('by somebody who may not do it any more is forbidden', async () => {
    const remove = { resource: 'notes', action: 'delete', key: 1, idempotencyKey: 'k' }
    expect(await (await as('ada')).request(remove)).toMatchObject({ ok: true })
    expect(await (await as('eve')).request(remove)).toMatchObject({ error: { code: 'forbidden' } })
  })

  test('after five minutes is a new one, and not before', async () => {
    await (await as('ada')).request(create)
    await clock.advance(299_000)
    await (await as('ada')).request(create)
    expect(writes).toBe(1)
    await clock.advance(1_500)
    await (await as('ada')).request(create)
    expect(writes).toBe(2)
  })

  test('whose answer was too big to keep says so and does not run', async () => {
    const much = { resource: 'notes', action: 'much', idempotencyKey: 'k' }
    const client = await as('ada')
    expect(await client.request(much)).toMatchObject({ ok: true })
    expect(await client.request(much)).toMatchObject({ ok: false, error: { code: 'limit_exceeded' } })
    expect(writes).toBe(1)
  })
})

describe('a write that is under way', () => {
  test('is waited for, here and in another process', async () => {
    const clients = [await as('ada'), await as('ada'), await as('ada', 1)]
    door.close()
    for (const client of clients) client.send({ type: 'request', id: 'r', ...create })
    await clock.advance(1_000)
    expect(door.waiting).toBe(1)
    door.open()
    await clock.advance(1_500)
    const replies = await Promise.all(clients.map((client) => client.reply('r')))
    expect(replies[0]).toMatchObject({ ok: true })
    expect(replies).toEqual([replies[0], replies[0], replies[0]])
    expect(writes).toBe(1)
  })

  test('and fails without having written is run by one of those that wait', async () => {
    const clients = [await as('ada'), await as('ada', 1)]
    door.close()
    for (const client of clients)
      client.send({ type: 'request', id: 'r', resource: 'notes', action: 'count', idempotencyKey: 'k' })
    await clock.advance(500)
    failing = () => {
      failing = undefined
      return Promise.reject(new RtapiError('conflict', 'taken'))
    }
    door.open()
    await clock.advance(2_000)
    expect(await clients[0]?.reply('r')).toMatchObject({ error: { code: 'conflict' } })
    expect(await clients[1]?.reply('r')).toMatchObject({ ok: true })
    expect(writes).toBe(2)
  })

  test('longer than anybody waits is unknown until it has ended, and known then', async () => {
    const client = await as('ada')
    door.close()
    client.send({ type: 'request', id: 'a', ...create })
    await clock.advance(5_500)
    expect(await client.reply('a')).toMatchObject({ ok: false, error: { code: 'timeout' } })
    client.send({ type: 'request', id: 'b', ...create })
    await clock.advance(7_000)
    expect(await client.reply('b')).toMatchObject({ ok: false, error: { code: 'timeout' } })
    door.open()
    await clock.settle()
    expect(await client.request(create)).toMatchObject({ ok: true, data: { text: 'new' } })
    expect(writes).toBe(1)
  })

  test('goes on when its connection is lost, and is found by the next one', async () => {
    const client = await as('ada')
    door.close()
    client.send({ type: 'request', id: 'r', ...create })
    await clock.settle()
    await client.close()
    door.open()
    await clock.settle()
    expect(await (await as('ada', 1)).request(create)).toMatchObject({ ok: true, data: { text: 'new' } })
    expect(writes).toBe(1)
  })

  test('does not keep an API from closing', async () => {
    const clients = [await as('ada'), await as('ada', 1)]
    door.close()
    for (const client of clients) client.send({ type: 'request', id: 'r', ...create })
    await clock.advance(200)
    expect(apis[1]?.stats().timers).toBeGreaterThan(1)
    await apis[1]?.close()
    expect(apis[1]?.stats().timers).toBe(0)
  })
})

describe('a write that fails', () => {
  test.each([
    ['by bad input', { ...create, data: { owner: 5 } }],
    ['by a rule', { resource: 'notes', action: 'delete', key: 1, idempotencyKey: 'k' }],
    ['by a record that is not there', { ...create, action: 'update', key: 99, data: { text: 'x' } }],
  ])('before it has begun may be run again: %s', async (_name, message) => {
    const client = await as('eve')
    const failed = await client.request(message)
    expect(failed.ok).toBe(false)
    // The key is free, also for something else.
    expect(await client.request(create)).toMatchObject({ ok: true })
    expect(writes).toBe(1)
  })

  test.each([
    ['by the store itself', () => Promise.reject(new Error('the database is away'))],
    ['since the records cannot be reached', () => Promise.reject(new RtapiError('unavailable', 'away'))],
  ])('after it has begun has an unknown outcome, and is not run again: %s', async (_name, fail) => {
    const client = await as('ada')
    failing = fail
    expect(await client.request(create)).toMatchObject({ ok: false })
    failing = undefined
    for (const process of [0, 1]) {
      const again = await (await as('ada', process)).request(create)
      expect(again).toMatchObject({
        ok: false,
        error: { code: 'timeout', message: expect.stringContaining('unknown') as string },
      })
    }
    expect(writes).toBe(1)
  })
})

describe('results that cannot be reached', () => {
  test('before the write: it is not run', async () => {
    const client = await as('ada')
    layer.cut()
    expect(await client.request(create)).toMatchObject({ ok: false, error: { code: 'unavailable', retryable: true } })
    expect([writes, reports]).toEqual([0, ['results.reserve']])
    layer.heal()
    expect(await client.request(create)).toMatchObject({ ok: true })
  })

  test('after the write: it is answered, and unknown to who repeats it', async () => {
    const client = await as('ada')
    failing = () => {
      layer.cut()
      return Promise.reject(new RtapiError('conflict', 'taken'))
    }
    expect(await client.request(create)).toMatchObject({ ok: false, error: { code: 'conflict' } })
    expect(reports).toContain('results.release')
    layer.heal()
    client.send({ type: 'request', id: 'again', ...create })
    await clock.advance(7_000)
    expect(await client.reply('again')).toMatchObject({ error: { code: 'timeout' } })
    expect(writes).toBe(1)
  })
})

describe('a key', () => {
  test('is one of a thousand of its user, and the next is told when to come back', async () => {
    const client = await as('ada')
    const one = (i: number) => client.request({ resource: 'notes', action: 'count', idempotencyKey: `k-${i}` })
    for (let i = 0; i < 1_000; i++) {
      expect((await one(i)).ok).toBe(true)
      if (i % 40 === 39) await clock.advance(1_600)
    }
    await clock.advance(10_000)
    const refused = await one(1_000)
    expect(refused).toMatchObject({ ok: false, error: { code: 'rate_limited', retryable: true } })
    const wait = refused.ok ? 0 : (refused.error.retryAfter ?? 0)
    expect(wait).toBeLessThan(300_000)
    expect(await one(1)).toMatchObject({ ok: true })
    expect(await (await as('bob')).request({ ...create, idempotencyKey: 'k-1000' })).toMatchObject({ ok: true })
    await clock.advance(wait)
    expect((await one(1_000)).ok).toBe(true)
  })

  test('needs somebody whose it is: a user, or a session with a name', async () => {
    session = (token) => (token === 'named' ? { user: null, id: 'basket 5' } : { user: null })
    expect(await (await as('unnamed')).request(create)).toMatchObject({ error: { code: 'unauthenticated' } })
    for (let i = 0; i < 2; i++) expect(await (await as('named')).request(create)).toMatchObject({ ok: true })
    expect(writes).toBe(1)
  })

  test.each(['list', 'get', 'describe'])('is none of %s', async (action) => {
    const reply = await (await as('ada')).request({ resource: 'notes', action, idempotencyKey: 'k' })
    expect(reply).toMatchObject({ ok: false, error: { code: 'bad_request' } })
  })

  test('is refused where no results are kept', async () => {
    const inner = memoryLayer({ clock })
    const bare = open({
      layer: {
        open: (events) => inner.open(events),
        join: (group) => inner.join(group),
        leave: (group) => inner.leave(group),
        publish: (group, entry) => inner.publish(group, entry),
        history: (group, since) => inner.history(group, since),
        close: () => inner.close(),
      },
    })
    apis = [...apis, bare]
    const client = await connect(bare, { token: 'ada' })
    expect(await client.request(create)).toMatchObject({ ok: false, error: { code: 'unsupported' } })
    expect(writes).toBe(0)
  })
})
