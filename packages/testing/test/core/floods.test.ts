import { type Api, type ServerMessage, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let clock: FakeClock
let api: Api
let other: TestClient

beforeEach(async () => {
  clock = fakeClock()
  const store = memoryStore({ entity: 'Note', fields: { id: 'integer' }, rows: [{ id: 1 }] })
  api = createApi({
    resources: [defineResource('notes', { store, permissions: [allowAny], input: { update: [] } })],
    changes: [store],
    clock,
    limits: { rate: 10, burst: 20 },
  })
  other = await connect(api)
  await other.subscribe({ resource: 'notes' })
})

afterEach(async () => {
  expect(other.closed).toBeUndefined()
  expect(await other.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
  await other.close()
  expect(api.stats()).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 1, timers: 0 })
  await api.close()
  expect(clock.timers).toBe(0)
})

const messages: Readonly<Record<string, (i: number) => readonly object[]>> = {
  pings: () => [{ type: 'ping' }],
  pongs: () => [{ type: 'pong' }],
  requests: (i) => [{ type: 'request', id: `r${i}`, resource: 'notes', action: 'get', key: 1 }],
  'requests under one id': () => [{ type: 'request', id: 'r', resource: 'notes', action: 'get', key: 1 }],
  writes: (i) => [{ type: 'request', id: `r${i}`, resource: 'notes', action: 'update', key: 1, data: {} }],
  subscriptions: (i) => [{ type: 'subscribe', id: `s${i}`, resource: 'notes' }],
  'subscriptions under one id': () => [{ type: 'subscribe', id: 's', resource: 'notes' }],
  'subscriptions that end at once': (i) => [
    { type: 'subscribe', id: `s${i}`, resource: 'notes' },
    { type: 'unsubscribe', id: `s${i}` },
  ],
  'ends of what is not there': (i) => [{ type: 'unsubscribe', id: `s${i}` }],
  credentials: (i) => [{ type: 'auth', id: `a${i}`, token: null }],
}

describe('a flood ends the link, whatever it is made of', () => {
  test.each(Object.keys(messages))('%s', async (name) => {
    const client = await connect(api)
    for (let i = 0; i < 200 && client.closed === undefined; i++) {
      for (const message of messages[name]?.(i) ?? []) client.sendRaw(JSON.stringify(message))
    }
    expect(client.closed).toMatchObject({ code: 4429, by: 'server' })
    expect(client.messages.at(-1)).toMatchObject({ type: 'goodbye', code: 4429, again: false })
    await clock.settle()
  })

  test.each(Object.keys(messages))('but not at the pace that is allowed: %s', async (name) => {
    const client = await connect(api)
    for (let i = 0; i < 60; i++) {
      for (const message of messages[name]?.(i) ?? []) client.sendRaw(JSON.stringify(message))
      await clock.advance(700)
    }
    expect(client.closed).toBeUndefined()
    await client.close()
  })
})

test('who comes back when told to is served', async () => {
  const client = await connect(api)
  for (let i = 0; i < 40; i++) {
    let reply = await client.request({ resource: 'notes', action: 'get', key: 1 })
    if (!reply.ok) {
      expect(reply.error).toMatchObject({ code: 'rate_limited', retryable: true })
      await clock.advance(reply.error.retryAfter ?? 0)
      reply = await client.request({ resource: 'notes', action: 'get', key: 1 })
    }
    expect(reply.ok).toBe(true)
  }
  client.send({ type: 'subscribe', id: 's', resource: 'notes' })
  const end = await client.next('end')
  expect(end).toMatchObject({ id: 's', error: { code: 'rate_limited' }, again: true })
  await clock.advance(end.error?.retryAfter ?? 0)
  expect((await client.subscribe({ resource: 'notes' })).rows).toHaveLength(1)
  await client.close()
})

describe('a frame is measured in bytes', () => {
  const received = (data: string | Uint8Array): readonly ServerMessage[] => {
    const sent: ServerMessage[] = []
    const [codec] = api.codecs
    if (codec === undefined) throw new TypeError('no codec')
    const socket = {
      id: 'raw',
      bufferedAmount: 0,
      send: (frame: { readonly data: string | Uint8Array }) =>
        void sent.push(JSON.parse(String(frame.data)) as ServerMessage),
      close: () => undefined,
    }
    const events = api.accept(socket, { transport: 'test', url: '/', headers: {} }, codec)
    events.receive(data)
    events.closed(1000, '')
    return sent
  }
  const frame = (bytes: number, filling: string): string => {
    const unit = new TextEncoder().encode(filling).length
    const empty = '{"type":"ping","x":""}'
    const room = bytes - empty.length
    return `{"type":"ping","x":"${filling.repeat(Math.floor(room / unit))}${'a'.repeat(room % unit)}"}`
  }

  test.each(['a', 'é', '日', '😀'])('of %s', (filling) => {
    const whole = new TextEncoder().encode(frame(65_536, filling))
    expect(whole).toHaveLength(65_536)
    // Within the limit it is read, and refused for what it says.
    expect(received(frame(65_536, filling))).toMatchObject([{ type: 'reply', ok: false }])
    expect(received(frame(65_537, filling))).toMatchObject([{ type: 'goodbye', code: 4413 }])
    expect(received(whole)).toMatchObject([{ type: 'reply', ok: false }])
    expect(received(new TextEncoder().encode(frame(65_537, filling)))).toMatchObject([{ type: 'goodbye', code: 4413 }])
  })
})
