import { type Api, type MemoryStore, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door, type Gated, gated } from './gated.ts'

type Note = { id: number; text: string }

let clock: FakeClock
let notes: MemoryStore<Note>
let behind: Gated<Note>
let api: Api
let client: TestClient
let acts: Door
const reports: string[] = []

beforeEach(async () => {
  clock = fakeClock()
  reports.length = 0
  acts = new Door()
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', text: 'string' },
    rows: [{ id: 1, text: 'x'.repeat(1_000) }],
  })
  behind = gated(notes)
  const ring: { ring?: unknown } = {}
  ring.ring = ring
  const resource = defineResource('notes', {
    store: behind.store,
    permissions: [allowAny],
    input: { create: ['text'], update: ['text'] },
    ownActions: {
      wait: { run: () => acts.pass(() => 'done') },
      number: { run: () => BigInt(1) as unknown as number },
      ring: { run: () => ring as unknown as null },
      fail: { run: () => Promise.reject(new Error('a secret of the server')) },
      throw: {
        run() {
          throw new Error('a secret of the server')
        },
      },
      refuse: { run: () => Promise.reject(new TypeError('a secret of the server')) },
    },
  })
  api = createApi({
    resources: [resource],
    changes: [notes],
    clock,
    authenticate: ({ token }) =>
      token === undefined ? null : { user: { id: 'ada' }, expiresAt: clock.now() + Number(token) },
    limits: { sendSoft: 2_000, sendHard: 10_000, heartbeatInterval: 1e9 },
    report: (_error, { during }) => reports.push(during),
  })
  client = await connect(api)
})

afterEach(async () => {
  await api.close()
  expect(clock.timers).toBe(0)
})

const send = (id: string, action: string, rest: object = {}): void =>
  client.send({ type: 'request', id, resource: 'notes', action, ...rest })
const ids = (): readonly string[] =>
  client.messages.flatMap((message) => (message.type === 'reply' ? [message.id ?? 'none'] : []))

describe('an id has one reply', () => {
  test('and a second request under an open id is refused without it', async () => {
    acts.close()
    send('a', 'wait')
    send('a', 'get', { key: 1 })
    client.send({ type: 'subscribe', id: 'a', resource: 'notes' })
    client.send({ type: 'auth', id: 'a', token: null })
    await clock.settle()
    const refused = client.messages.filter(({ type }) => type === 'reply')
    expect(refused).toHaveLength(3)
    for (const reply of refused) {
      expect(reply).toMatchObject({ ok: false, error: { code: 'conflict', message: "the id 'a' is in use" } })
      expect(reply).not.toHaveProperty('id')
    }
    acts.open()
    expect(await client.reply('a')).toMatchObject({ ok: true, data: 'done' })
    // Once it has been answered it is free again.
    send('a', 'get', { key: 1 })
    expect(await client.reply('a')).toMatchObject({ ok: true, key: 1 })
  })

  test('also where a subscription has it', async () => {
    const view = await client.subscribe({ id: 'a', resource: 'notes' })
    send('a', 'get', { key: 1 })
    expect(await client.reply('a')).toMatchObject({ ok: false, error: { code: 'conflict' } })
    await view.unsubscribe()
    send('a', 'get', { key: 1 })
    expect(await client.reply('a')).toMatchObject({ ok: true })
  })

  test.each(['number', 'ring', 'fail', 'throw', 'refuse'])('also where the server fails: %s', async (action) => {
    send('a', action)
    send('b', 'wait')
    expect(await client.next('reply')).toEqual({
      type: 'reply',
      id: 'a',
      ok: false,
      error: { code: 'internal', message: 'The server failed.', retryable: true },
    })
    expect(await client.next('reply')).toMatchObject({ id: 'b', ok: true })
    expect(reports).toEqual(['request'])
    expect(client.received).not.toContain('secret')
  })

  test('and none once the link has ended', async () => {
    acts.close()
    send('a', 'wait')
    send('b', 'create', { data: { text: 'never' } })
    await clock.settle()
    await client.close()
    acts.open()
    await clock.settle()
    expect(ids()).toEqual([])
    // What had not begun is not begun any more.
    expect(notes.find()).toHaveLength(1)
  })
})

describe('the order of requests', () => {
  test('is kept among writes, and reads run beside them', async () => {
    acts.close()
    send('slow', 'wait')
    send('write', 'update', { key: 1, data: { text: 'later' } })
    send('read', 'get', { key: 1 })
    await clock.settle()
    expect(ids()).toEqual(['read'])
    expect(notes.read([1])[0]?.text).not.toBe('later')
    acts.open()
    await clock.settle()
    expect(ids()).toEqual(['read', 'slow', 'write'])
  })

  test('is kept when a write fails', async () => {
    send('a', 'fail')
    send('b', 'update', { key: 1, data: { text: 'b' } })
    send('c', 'update', { key: 99, data: { text: 'c' } })
    send('d', 'update', { key: 1, data: { text: 'd' } })
    await clock.settle()
    expect(ids()).toEqual(['a', 'b', 'c', 'd'])
    expect(notes.read([1])[0]?.text).toBe('d')
  })

  test('lets 32 wait, and the places are given back', async () => {
    behind.find.close()
    for (let i = 0; i < 32; i++) send(`r${i}`, 'get', { key: 1 })
    send('over', 'get', { key: 1 })
    expect(await client.reply('over')).toMatchObject({ ok: false, error: { code: 'limit_exceeded' } })
    await clock.settle()
    behind.find.letOne()
    await clock.settle()
    expect(ids()).toHaveLength(2)
    behind.find.open()
    send('again', 'get', { key: 1 })
    expect(await client.reply('again')).toMatchObject({ ok: true })
  })
})

describe('replies that are not read', () => {
  test('are not followed by ever more of them', async () => {
    client.pause()
    for (let i = 0; i < 30; i++) {
      send(`r${i}`, 'get', { key: 1 })
      await clock.settle()
    }
    const held = behind.calls.find
    expect(held).toBeLessThan(16)
    client.resume()
    await clock.settle()
    const codes = client.messages.flatMap((message) =>
      message.type === 'reply' && !message.ok ? [[message.error.code, message.error.retryAfter]] : [],
    )
    expect(codes).toHaveLength(30 - held)
    expect(new Set(codes.map(([code]) => code))).toEqual(new Set(['rate_limited']))
    expect(ids()).toHaveLength(30)
    send('again', 'get', { key: 1 })
    expect(await client.reply('again')).toMatchObject({ ok: true })
  })
})

test('a write whose turn comes after the session has ended is not done', async () => {
  const expiring = await connect(api, { token: '1000' })
  acts.close()
  expiring.send([
    { type: 'request', id: 'a', resource: 'notes', action: 'wait' },
    { type: 'request', id: 'b', resource: 'notes', action: 'create', data: { text: 'too late' } },
  ])
  await clock.advance(1_500)
  acts.open()
  expect(await expiring.reply('a')).toMatchObject({ ok: true })
  expect(await expiring.reply('b')).toMatchObject({ ok: false, error: { code: 'unauthenticated' } })
  expect(notes.find()).toHaveLength(1)
})

test('a write that takes too long is not said to have failed, and its reply comes once', async () => {
  acts.close()
  send('a', 'wait')
  await clock.advance(5_000)
  const reply = await client.reply('a')
  expect(reply).toMatchObject({ ok: false, error: { code: 'timeout' } })
  expect(!reply.ok && reply.error.message).toContain('outcome is unknown')
  acts.open()
  await clock.settle()
  expect(ids()).toEqual(['a'])
})
