import { type Api, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

let clock: FakeClock
let api: Api
const reports: unknown[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  const store = memoryStore({ entity: 'Note', fields: { id: 'integer', text: 'string' } })
  api = createApi({
    resources: [defineResource('notes', { store, permissions: [allowAny], input: { create: ['text'] } })],
    changes: [store],
    clock,
    report: (error) => reports.push(error),
  })
})

/** After whatever was done, the API serves others, nothing is left behind and the operator was told of no fault. */
async function lives(): Promise<void> {
  const honest = await connect(api)
  expect(await honest.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
  await honest.close()
  expect(reports).toEqual([])
  await api.close()
  expect(api.stats()).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 0, timers: 0 })
  expect(clock.timers).toBe(0)
}

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

describe('a frame that cannot be read is refused, and the third ends the connection', () => {
  test.each([
    ['no JSON', '{"type":'],
    ['nothing', ''],
    ['a number', '17'],
    ['null', 'null'],
    ['a word', '"hello"'],
    ['an unknown type', '{"type":"dance"}'],
    ['no type', '{}'],
    ['a type that objects have', '{"type":"constructor"}'],
    ['an unknown field', '{"type":"ping","pong":1}'],
    ['a prototype', '{"type":"ping","__proto__":{"polluted":true}}'],
    [
      'a prototype inside',
      '{"type":"request","id":"a","resource":"notes","action":"list","where":{"__proto__":{"id":1}}}',
    ],
    [
      'a constructor inside',
      '{"type":"request","id":"a","resource":"notes","action":"create","data":{"constructor":{"prototype":{}}}}',
    ],
    ['too deep', `{"type":"request","id":"a","resource":"notes","action":"create","data":${deep(17)}}`],
    ['far too deep', `{"type":"request","id":"a","resource":"notes","action":"create","data":${deep(30_000)}}`],
    [
      'too many keys',
      `{"type":"request","id":"a","resource":"notes","action":"create","data":{${Array.from({ length: 257 }, (_, i) => `"k${i}":1`).join(',')}}}`,
    ],
    [
      'too many values',
      `{"type":"request","id":"a","resource":"notes","action":"create","data":[${'1,'.repeat(10_001)}1]}`,
    ],
    [
      'a long string',
      `{"type":"request","id":"a","resource":"notes","action":"create","data":"${'x'.repeat(32_769)}"}`,
    ],
    ['too many messages', `[${'{"type":"ping"},'.repeat(100)}{"type":"ping"}]`],
    ['a bad id', '{"type":"unsubscribe","id":"a b"}'],
    ['bytes that are no text', new Uint8Array([0xff, 0xfe, 0x00])],
  ])('%s', async (_name, frame) => {
    const client = await connect(api)
    client.sendRaw(frame)
    const first = await client.next()
    expect(first).toMatchObject(first.type === 'end' ? { error: {} } : { type: 'reply', ok: false })
    client.sendRaw(frame)
    client.sendRaw(frame)
    expect(await client.untilClosed()).toMatchObject({ code: 4400 })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    await lives()
  })
})

test('one bad message does not take the others of its batch with it', async () => {
  const client = await connect(api)
  client.sendRaw(
    '[{"type":"ping"},{"type":"request","id":"bad","resource":"notes","action":"list","were":{}},{"type":"request","id":"good","resource":"notes","action":"list"},{"type":"subscribe","id":"sub","resource":"notes","limit":0}]',
  )
  expect(await client.next('pong')).toBeDefined()
  expect(await client.reply('bad')).toMatchObject({
    ok: false,
    error: { code: 'bad_request', message: expect.stringContaining("'were'") as string },
  })
  expect(await client.next('end')).toMatchObject({ id: 'sub', error: { code: 'bad_request' } })
  expect(await client.reply('good')).toMatchObject({ ok: true })
  await client.close()
  await lives()
})

test('a frame above the limit closes with 4413', async () => {
  const client = await connect(api)
  client.sendRaw(' '.repeat(65_537))
  expect(await client.untilClosed()).toMatchObject({ code: 4413 })
  await lives()
})

describe('the beginning', () => {
  const open = (): Promise<TestClient> => connect(api, { hello: false })
  test.each([
    ['something else than hello', { type: 'unsubscribe', id: 'a' }, 4400],
    ['another version', { type: 'hello', versions: [2] }, 4406],
    ['no version', { type: 'hello', versions: [] }, 4406],
  ])('%s closes', async (_name, message, code) => {
    const client = await open()
    client.sendRaw(JSON.stringify(message))
    expect(await client.untilClosed()).toMatchObject({ code })
    await lives()
  })

  test('no hello within ten seconds closes', async () => {
    const client = await open()
    await clock.advance(9_500)
    expect(client.closed).toBeUndefined()
    await clock.advance(1_000)
    expect(client.closed).toMatchObject({ code: 4408 })
    await lives()
  })

  test('requests may come in the same frame as hello', async () => {
    const client = await open()
    client.send([
      { type: 'hello', versions: [1] },
      { type: 'request', id: 'a', resource: 'notes', action: 'list' },
      { type: 'subscribe', id: 'b', resource: 'notes' },
    ])
    expect(await client.next()).toMatchObject({ type: 'welcome', version: 1 })
    expect(await client.next('reply')).toMatchObject({ id: 'a', ok: true })
    expect(await client.next('snapshot')).toMatchObject({ id: 'b', done: true })
    client.send({ type: 'hello', versions: [1] })
    expect(await client.next('reply')).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    await client.close()
    await lives()
  })
})

test('who is silent is asked, and then closed', async () => {
  const dead = await connect(api, { pong: false })
  const alive = await connect(api)
  await clock.advance(25_500)
  expect(await dead.next()).toEqual({ type: 'ping' })
  await clock.advance(10_500)
  expect(dead.closed).toMatchObject({ code: 4454 })
  await clock.advance(60_000)
  expect(alive.closed).toBeUndefined()
  await alive.close()
  await lives()
})

test('too many messages are refused for a while', async () => {
  const client = await connect(api)
  for (let i = 0; i < 700; i++) {
    client.send({ type: 'request', id: `r${i}`, resource: 'notes', action: 'list' })
    if (i % 25 === 24) await clock.settle()
  }
  const refused = client.messages.flatMap((message) =>
    message.type === 'reply' && !message.ok && message.error.code === 'rate_limited' ? [message.error] : [],
  )
  expect(refused.length).toBeGreaterThan(50)
  expect(refused[0]).toMatchObject({ retryable: true, retryAfter: expect.any(Number) as number })
  await clock.advance(5_000)
  expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
  await client.close()
  await lives()
})

test('only so many requests are in flight', async () => {
  const client = await connect(api)
  for (let i = 0; i < 33; i++) client.send({ type: 'request', id: `r${i}`, resource: 'notes', action: 'list' })
  expect(await client.next('reply')).toMatchObject({ id: 'r32', ok: false, error: { code: 'limit_exceeded' } })
  for (let i = 0; i < 32; i++) expect(await client.next('reply')).toMatchObject({ ok: true })
  await client.close()
  await lives()
})

test('a closing server says goodbye, and when to come back', async () => {
  const client = await connect(api)
  await api.close()
  expect(client.messages.at(-1)).toMatchObject({
    type: 'goodbye',
    code: 4452,
    again: true,
    after: expect.any(Number) as number,
  })
  expect(await client.untilClosed()).toMatchObject({ code: 4452 })
  const late = await connect(api, { hello: false })
  expect(await late.untilClosed()).toMatchObject({ code: 4452 })
})
