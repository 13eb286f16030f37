import { type ClientMessage, type ServerMessage, parseClientFrame } from '@rtapi/core'
import {
  type ConnectOptions,
  type RecordedLink,
  type RecordingApi,
  type TestClient,
  connect,
  fakeClock,
  recordingApi,
} from '@rtapi/testing'
import { expect, test } from 'vitest'

const welcome: ServerMessage = {
  type: 'welcome',
  version: 1,
  connection: 'c1',
  heartbeat: { interval: 25_000, timeout: 10_000 },
  limits: { subscriptions: 100, frame: 65_536, have: 1_000 },
}
const order = [['id', 'asc', 'integer']] as const
const row = (id: number, text = `row ${id}`) => ({ key: id, data: { id, text } })

type Answer = (message: ClientMessage, link: RecordedLink) => void

/** A server that welcomes everybody and answers the rest by a script. */
async function scripted(
  answer: Answer,
  options: ConnectOptions = {},
): Promise<{ api: RecordingApi; client: TestClient; link: RecordedLink }> {
  const api = recordingApi({
    onReceive(link, data) {
      for (const message of parseClientFrame(link.codec.decode(data))) {
        if (message.type === 'hello') link.send(welcome)
        else if (message.type !== 'broken') answer(message, link)
      }
    },
  })
  const client = await connect(api, options)
  return { api, client, link: await api.link(0) }
}

/** A script that answers a subscription with this snapshot. */
const snapshot =
  (...rows: ReturnType<typeof row>[]): Answer =>
  (message, link) => {
    if (message.type !== 'subscribe') return
    link.send({ type: 'snapshot', id: message.id, feed: 'f', rows, part: 0, done: true, position: 'p0', order })
  }

test('connect says hello with the token and waits for welcome', async () => {
  const { api, client } = await scripted(() => {}, { token: 'secret', headers: { origin: 'https://example.com' } })
  expect(client.welcome).toEqual(welcome)
  const link = await api.link(0)
  expect(link.handshake).toMatchObject({ transport: 'test', headers: { origin: 'https://example.com' } })
  expect(link.received).toEqual(['{"type":"hello","versions":[1],"token":"secret"}'])
})

test('connect rejects if the server closes instead of welcoming', async () => {
  const api = recordingApi({ onReceive: ({ socket }) => socket.close(4401, 'bad credentials') })
  await expect(connect(api)).rejects.toThrow(/the server closed with 4401 bad credentials/)
})

test('next takes messages in order, or the first of a type, and leaves the others', async () => {
  const { client, link } = await scripted(() => {})
  link.send([{ type: 'expiring', expiresAt: 1 }, { type: 'reply', id: 'a', ok: true }, { type: 'pong' }])
  expect(await client.next('reply')).toMatchObject({ id: 'a' })
  expect(await client.next()).toMatchObject({ type: 'expiring' })
  expect(await client.next()).toEqual({ type: 'pong' })
})

test('next waits for what is still to come, and says what came instead when the time is up', async () => {
  const { client, link } = await scripted(() => {}, { timeout: 30 })
  const next = client.next('pong')
  link.send({ type: 'pong' })
  expect(await next).toEqual({ type: 'pong' })
  link.send({ type: 'expiring', expiresAt: 7 })
  await expect(client.next('reply')).rejects.toThrow(/waited 30 ms for a message 'reply' .*"expiresAt":7/)
})

test('receiveNothing passes in silence, and fails on what is in the queue or comes to a view', async () => {
  const { client, link } = await scripted(snapshot(row(1)))
  await client.subscribe({ resource: 'things' })
  await client.receiveNothing()
  queueMicrotask(() =>
    link.send({ type: 'changes', feed: 'f', from: 'p0', to: 'p1', changes: [{ action: 'delete', key: 1 }] }),
  )
  await expect(client.receiveNothing()).rejects.toThrow(/expected nothing, but received .*"delete"/)
  link.send({ type: 'expiring', expiresAt: 7 })
  await expect(client.receiveNothing()).rejects.toThrow(/expected nothing, but received .*"expiring"/)
})

test('waiting moves the deferred work of a fake clock, but not its time', async () => {
  const clock = fakeClock()
  const api = recordingApi({ clock, onReceive: (link) => clock.defer(() => link.send(welcome)) })
  const client = await connect(api)
  expect(client.welcome).toEqual(welcome)
  expect(clock.monotonic()).toBe(0)
})

test('request and authenticate wait for their own replies', async () => {
  const { client } = await scripted((message, link) => {
    if (message.type === 'request') link.send({ type: 'reply', id: message.id, ok: true, data: message.action })
    if (message.type === 'auth') link.send({ type: 'reply', id: message.id, ok: true, data: message.token })
  })
  const replies = await Promise.all([
    client.request({ resource: 'things', action: 'list' }),
    client.request({ resource: 'things', action: 'get', key: 1, id: 'mine' }),
    client.authenticate('other'),
  ])
  expect(replies).toMatchObject([{ data: 'list' }, { id: 'mine', data: 'get' }, { data: 'other' }])
})

test('a view shows a snapshot of several parts only when it is whole, in its order', async () => {
  const { client, link } = await scripted(() => {})
  const opening = client.subscribe({ resource: 'things', id: 'v' })
  link.send({ type: 'snapshot', id: 'v', feed: 'f', rows: [row(3), row(1)], part: 0, done: false, order })
  link.send({ type: 'snapshot', id: 'v', feed: 'f', rows: [row(2)], part: 1, done: true, position: 'p0' })
  const view = await opening
  expect(view.keys).toEqual([1, 2, 3])
  expect(view.position).toBe('p0')
})

test('a view applies each kind of change, and its waits see them', async () => {
  const { client, link } = await scripted(snapshot(row(1), row(2), row(3)))
  const view = await client.subscribe({ resource: 'things' })
  const emptied = view.until((rows) => rows.length === 2)
  link.send({
    type: 'changes',
    feed: 'f',
    from: 'p0',
    to: 'p1',
    changes: [
      { action: 'leave', key: 1 },
      { action: 'delete', key: 2 },
      { action: 'update', ...row(3, 'new') },
      { action: 'enter', ...row(0) },
    ],
  })
  expect(await emptied).toEqual([
    { id: 0, text: 'row 0' },
    { id: 3, text: 'new' },
  ])
  expect(await view.next('changes')).toMatchObject({ to: 'p1' })
})

test('a reset keeps the old rows until the new snapshot is whole, but drops them at once if access is gone', async () => {
  const { client, link } = await scripted(snapshot(row(1)))
  const view = await client.subscribe({ resource: 'things', id: 'v' })
  link.send({ type: 'reset', id: 'v', reason: 'gap' })
  expect([view.keys, view.whole]).toEqual([[1], false])
  link.send({ type: 'snapshot', id: 'v', feed: 'g', rows: [row(2)], part: 0, done: true, position: 'q' })
  expect([view.keys, view.whole, view.position]).toEqual([[2], true, 'q'])
  link.send({ type: 'reset', id: 'v', reason: 'policy' })
  expect([view.keys, view.resets]).toEqual([[], ['gap', 'policy']])
})

test('a subscription that is refused rejects with the error of the server', async () => {
  const { client } = await scripted((message, link) => {
    if (message.type !== 'subscribe') return
    const error = { code: 'forbidden', message: 'not for you', retryable: false } as const
    link.send({ type: 'end', id: message.id, error })
  })
  await expect(client.subscribe({ resource: 'things' })).rejects.toMatchObject({
    code: 'forbidden',
    message: 'not for you',
  })
})

test('resubscribe names position and keys, and adds the rows of the snapshot to those it has', async () => {
  const { client, link } = await scripted((message, link) => {
    if (message.type === 'subscribe' && message.since === undefined) snapshot(row(1), row(2))(message, link)
    else if (message.type === 'subscribe') {
      link.send({
        type: 'snapshot',
        id: message.id,
        feed: 'f',
        rows: [row(2, 'new')],
        part: 0,
        done: true,
        position: 'p9',
      })
    }
  })
  const view = await client.subscribe({ resource: 'things', where: { text: 'x' } })
  const again = await client.resubscribe(view)
  expect(again.rows).toEqual([
    { id: 1, text: 'row 1' },
    { id: 2, text: 'new' },
  ])
  const frame: unknown = link.codec.decode(link.received.at(-1) ?? '')
  expect(frame).toMatchObject({ type: 'subscribe', where: { text: 'x' }, since: 'p0', have: [1, 2] })
})

test.each<[what: string, messages: ServerMessage[], problem: RegExp]>([
  ['a hole', [{ type: 'changes', feed: 'f', from: 'p7', to: 'p8', changes: [] }], /changes from p7 at position p0/],
  [
    'a create of a row that is there',
    [{ type: 'changes', feed: 'f', from: 'p0', to: 'p1', changes: [{ action: 'create', ...row(1) }] }],
    /create of 1, which the view holds already/,
  ],
  [
    'a delete of a row that is not',
    [{ type: 'changes', feed: 'f', from: 'p0', to: 'p1', changes: [{ action: 'delete', key: 5 }] }],
    /delete of 5, which the view does not hold/,
  ],
  [
    'a version that goes back',
    [
      { type: 'changes', feed: 'f', from: 'p0', to: 'p1', changes: [{ action: 'update', ...row(1), version: 5 }] },
      { type: 'changes', feed: 'f', from: 'p1', to: 'p2', changes: [{ action: 'update', ...row(1), version: 4 }] },
    ],
    /goes back from version 5 to 4/,
  ],
  ['changes of an unknown feed', [{ type: 'changes', feed: 'x', from: 'p0', to: 'p1', changes: [] }], /feed x/],
  [
    'a message after the end',
    [
      { type: 'end', id: 'v' },
      { type: 'reset', id: 'v', reason: 'gap' },
    ],
    /reset after the end/,
  ],
])('%s breaks the protocol, and every wait says so', async (_, messages, problem) => {
  const { client, link } = await scripted(snapshot(row(1)))
  await client.subscribe({ resource: 'things', id: 'v' })
  link.send(messages)
  await expect(client.receiveNothing()).rejects.toThrow()
  await expect(client.next()).rejects.toThrow(problem)
})

test('pings are answered and not queued', async () => {
  const { client, link } = await scripted(() => {})
  link.send({ type: 'ping' })
  await client.receiveNothing()
  expect(link.received.at(-1)).toBe('{"type":"pong"}')
})

test('while reading is paused the buffer grows, and resuming drains it', async () => {
  const { client, link } = await scripted(() => {})
  client.pause()
  const frames = [link.send({ type: 'expiring', expiresAt: 1 }), link.send({ type: 'reply', id: 'ü', ok: true })]
  const bytes = frames.map(({ data }) => Buffer.byteLength(data)).reduce((a, b) => a + b)
  expect(link.socket.bufferedAmount).toBe(bytes)
  expect(client.messages).toEqual([welcome])
  client.resume()
  expect([link.socket.bufferedAmount, link.drains]).toEqual([0, 1])
  expect(await client.next()).toMatchObject({ expiresAt: 1 })
})

test('a link ends once, with the code of whoever was first, and nothing passes afterwards', async () => {
  const { client, link } = await scripted(() => {})
  link.socket.close(4452, 'draining')
  await client.close()
  expect(await client.untilClosed()).toEqual({ code: 4452, reason: 'draining', by: 'server' })
  link.send({ type: 'pong' })
  client.send({ type: 'ping' })
  await client.receiveNothing()
  expect(link.closings).toEqual([{ code: 4452, reason: 'draining' }])
  expect(link.received).toHaveLength(1)
  await expect(client.next()).rejects.toThrow(/the server closed with 4452/)
})
