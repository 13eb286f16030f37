import {
  type Api,
  type LayerEvents,
  type MemoryStore,
  RtapiError,
  type User,
  createApi,
  defineResource,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door } from './gated.ts'

type Note = { id: number; level: number }
type Leveled = User & { readonly level: number }

let clock: FakeClock
let notes: MemoryStore<Note>
let api: Api
let door: Door
let events: LayerEvents | undefined
/** What the application knows of its users now. */
let levels: Map<string, number>
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  door = new Door()
  levels = new Map([
    ['ada', 3],
    ['bob', 1],
  ])
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', level: 'integer' },
    rows: [1, 2, 3, 4].map((level) => ({ id: level, level })),
  })
  const layer = memoryLayer({ clock })
  api = createApi({
    resources: [
      defineResource('notes', {
        store: notes,
        permissions: [{ scope: ({ session }) => ({ level: { lte: (session.user as Leveled | null)?.level ?? 0 } }) }],
      }),
    ],
    changes: [notes],
    clock,
    layer: {
      open: (given) => {
        events = given
        return layer.open(given)
      },
      join: (group) => layer.join(group),
      leave: (group) => layer.leave(group),
      publish: (group, entry) => layer.publish(group, entry),
      history: (group, since) => layer.history(group, since),
      close: () => layer.close(),
    },
    authenticate({ token }) {
      const [id = '', expiry] = (token ?? '').split(':')
      if (id === '') return null
      if (id === 'broken') throw new Error('the users are away: postgres://secret')
      const level = levels.get(id)
      // What is found is as old as the question, however long the answer takes.
      return door.pass(() => {
        if (level === undefined) throw new RtapiError('unauthenticated', 'nobody')
        return { user: { id, level }, ...(expiry === undefined ? {} : { expiresAt: Number(expiry) }) }
      })
    },
    report: (_error, { during }) => reports.push(during),
  })
})

afterEach(async () => {
  await api.close()
  expect(clock.timers).toBe(0)
})

/** Begins a refresh whose answer waits at the door. */
async function refresh(level: number): Promise<void> {
  levels.set('ada', level)
  door.close()
  await api.sessions.refresh({ user: 'ada' })
  await clock.settle()
}

const ada = () => connect(api, { token: 'ada' })
const view = (client: TestClient) => client.subscribe({ resource: 'notes' })

describe('welcome', () => {
  const past = { type: 'welcome', version: 1, connection: expect.any(String) as string }
  const rest = {
    heartbeat: { interval: 25_000, timeout: 10_000 },
    limits: { subscriptions: 100, frame: 65_536, have: 1_000 },
  }
  test.each([
    ['nobody', undefined, {}],
    ['a user', 'ada', { user: 'ada' }],
    ['a user for a while', 'ada:1900000000000', { user: 'ada', expiresAt: 1_900_000_000_000 }],
  ])('to %s says who it is, and what holds', async (_name, token, who) => {
    const client = await connect(api, token === undefined ? {} : { token })
    expect(client.welcome).toEqual({ ...past, ...who, ...rest })
  })
})

describe('who cannot be found out', () => {
  test.each([
    ['is told so', 'nosuch', 4401, []],
    ['is not told why the server fails', 'broken', 4500, ['authenticate']],
  ])('%s', async (_name, token, code, reported) => {
    const client = await connect(api, { hello: false })
    client.send([
      { type: 'hello', versions: [1], token },
      { type: 'request', id: 'a', resource: 'notes', action: 'list' },
      { type: 'subscribe', id: 'b', resource: 'notes' },
    ])
    expect(await client.untilClosed()).toMatchObject({ code })
    expect(client.messages.map(({ type }) => type)).toEqual(['goodbye'])
    expect(client.received).not.toContain('secret')
    expect(reports).toEqual(reported)
    expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0 })
  })

  test('in time is closed', async () => {
    door.close()
    const client = await connect(api, { hello: false })
    client.send({ type: 'hello', versions: [1], token: 'ada' })
    await clock.advance(4_900)
    expect(client.closed).toBeUndefined()
    await clock.advance(200)
    expect(client.closed).toMatchObject({ code: 4500 })
  })
})

describe('an answer that has been overtaken', () => {
  test('by a newer one is void', async () => {
    const client = await ada()
    const shown = await view(client)
    await refresh(1)
    await refresh(2)
    door.letOne('last')
    await shown.until((rows) => rows.length === 2)
    door.letOne()
    notes.create({ id: 5, level: 2 })
    await shown.until((rows) => rows.length === 3)
    expect(shown.resets).toEqual([])
  })

  test('by a newer question lets nothing through', async () => {
    const client = await ada()
    const shown = await view(client)
    await refresh(3)
    await refresh(1)
    notes.create({ id: 5, level: 3 })
    await clock.settle()
    door.letOne()
    await client.receiveNothing()
    door.letOne()
    await shown.until((rows) => rows.length === 1)
    expect(JSON.stringify(shown.log)).not.toContain('"key":5,"data"')
  })

  test('by new credentials is answered all the same, and the newest hold', async () => {
    const client = await ada()
    const shown = await view(client)
    door.close()
    levels.set('ada', 2)
    client.send({ type: 'auth', id: 'a', token: 'ada:1900000000000' })
    await clock.settle()
    levels.set('ada', 1)
    client.send({ type: 'auth', id: 'b', token: 'ada:1910000000000' })
    await clock.settle()
    door.letOne('last')
    await clock.settle()
    door.letOne()
    expect([await client.reply('a'), await client.reply('b')]).toMatchObject([{ ok: true }, { ok: true }])
    expect(shown.rows).toHaveLength(1)
    door.open()
    // The credentials that were given last are those that are asked about again.
    await api.sessions.refresh({ user: 'ada' })
    await clock.settle()
    await clock.advance(1_000)
    clock.shift(1_900_000_001_000 - clock.now())
    await clock.advance(1_000)
    expect(client.closed).toBeUndefined()
    expect(client.messages.at(-1)?.type).not.toBe('expiring')
  })
})

describe('while it is asked who is there', () => {
  test('a new subscription waits for the answer', async () => {
    const client = await ada()
    await refresh(1)
    client.send({ type: 'subscribe', id: 'new', resource: 'notes' })
    await client.receiveNothing()
    door.open()
    expect((await client.next('snapshot')).rows).toHaveLength(1)
  })

  test('a subscription that was beginning begins anew', async () => {
    const client = await ada()
    client.send({ type: 'subscribe', id: 'new', resource: 'notes' })
    levels.set('ada', 1)
    door.close()
    const refreshed = api.sessions.refresh({ user: 'ada' })
    await client.receiveNothing()
    door.open()
    await refreshed
    expect((await client.next('snapshot')).rows).toHaveLength(1)
    await client.receiveNothing()
  })

  test('requests wait for the answer', async () => {
    const client = await ada()
    await refresh(1)
    client.send({ type: 'request', id: 'list', resource: 'notes', action: 'list' })
    await client.receiveNothing()
    door.open()
    const reply = await client.reply('list')
    expect(reply.ok && reply.rows).toHaveLength(1)
  })

  test('an end of the subscription is the end', async () => {
    const client = await ada()
    const shown = await view(client)
    await refresh(1)
    client.send({ type: 'subscribe', id: 'new', resource: 'notes' })
    client.send({ type: 'unsubscribe', id: 'new' })
    await shown.unsubscribe()
    door.open()
    await clock.settle()
    expect(client.messages.slice(-2)).toEqual([
      { type: 'end', id: 'new' },
      { type: 'end', id: shown.id },
    ])
    expect(api.stats()).toMatchObject({ subscriptions: 0, feeds: 0 })
  })
})

describe('a session that is ended before it is known', () => {
  test.each([
    ['is asked for anew', { user: 'ada' }],
    ['by another name, too', { session: 'unknown' }],
  ])('%s', async (_name, selector) => {
    await api.ready
    door.close()
    const client = await connect(api, { hello: false })
    client.send({ type: 'hello', versions: [1], token: 'ada' })
    await clock.settle()
    expect(door.waiting).toBe(1)
    levels.delete('ada')
    await api.sessions.end(selector)
    door.open()
    expect(await client.untilClosed()).toMatchObject({ code: 4401 })
    expect(client.messages.map(({ type }) => type)).toEqual(['goodbye'])
  })
})

describe('a session that has expired', () => {
  const soon = (): string => `ada:${clock.now() + 1_000}`

  test('goes on with what comes in one frame with new credentials', async () => {
    const client = await connect(api, { token: soon() })
    const shown = await view(client)
    await clock.advance(1_500)
    client.send([
      { type: 'auth', id: 'auth', token: 'ada' },
      { type: 'request', id: 'list', resource: 'notes', action: 'list' },
      { type: 'subscribe', id: 'sub', resource: 'notes', where: { level: 1 } },
    ])
    expect(await client.reply('auth')).toMatchObject({ ok: true })
    expect(await client.reply('list')).toMatchObject({ ok: true })
    expect((await client.next('snapshot')).rows).toHaveLength(1)
    notes.create({ id: 5, level: 1 })
    await shown.until((rows) => rows.length === 4)
  })

  test('is not closed because it is asked for again', async () => {
    const client = await connect(api, { token: soon() })
    const shown = await view(client)
    await clock.advance(1_500)
    await api.sessions.refresh({ user: 'ada' })
    events?.lost()
    notes.create({ id: 5, level: 1 })
    await clock.advance(1_000)
    expect(client.closed).toBeUndefined()
    expect(shown.rows).toHaveLength(3)
    expect(await client.authenticate('ada')).toMatchObject({ ok: true })
    await shown.until((rows) => rows.length === 4)
  })

  test('is closed by credentials that have expired, too', async () => {
    const client = await connect(api, { token: soon() })
    await clock.advance(1_500)
    client.send({ type: 'auth', id: 'a', token: `ada:${clock.now() - 1}` })
    expect(await client.untilClosed()).toMatchObject({ code: 4401 })
  })
})

test('when a command may have been missed, everybody is asked for anew', async () => {
  const [first, second] = [await ada(), await connect(api, { token: 'bob' })]
  const shown = await view(second)
  levels.delete('ada')
  levels.set('bob', 4)
  events?.lost('rt:sessions')
  expect(await first.untilClosed()).toMatchObject({ code: 4401 })
  await shown.until((rows) => rows.length === 4)
})

test('the reason of an end is short and plain', async () => {
  const client = await ada()
  await api.sessions.end({ user: 'ada', reason: 'à demain\r\nand on and on and on and on' })
  expect(await client.untilClosed()).toMatchObject({ code: 4440, reason: '? demain??and on and on and on a' })
})
