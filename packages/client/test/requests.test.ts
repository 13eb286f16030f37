import { describe, expect, test } from 'vitest'
import { OutcomeUnknownError, RtapiError } from '../src/index.ts'
import { liveClient, scriptedClient, settle, wireRow } from './support/scripted-client.ts'

/** The promise's outcome, so that a rejection before the test looks is not an unhandled one. */
function outcome<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
}

describe('requests and their answers', () => {
  test('list: a page of rows, and where the next one begins', async () => {
    const { client, transport } = liveClient()
    const page = client.comments.list({
      where: { topicId: 7 },
      order: { id: 'desc' },
      limit: 2,
      after: 'cursor',
      fields: ['id'],
    })
    const { id, ...request } = transport.link.takeRequest()
    expect(request).toEqual({
      type: 'request',
      resource: 'comments',
      action: 'list',
      where: { topicId: 7 },
      order: [['id', 'desc']],
      limit: 2,
      after: 'cursor',
      fields: ['id'],
    })
    transport.link.say({ type: 'reply', id, ok: true, rows: [wireRow(2), wireRow(1)], next: 'more' })
    expect(await page).toEqual({ rows: [wireRow(2).data, wireRow(1).data], next: 'more' })
  })

  test('get: the row; its key and version are known', async () => {
    const { client, transport } = liveClient()
    const row = client.comments.get(1, { fields: ['id', 'text'] })
    const { id, ...request } = transport.link.takeRequest()
    expect(request).toEqual({ type: 'request', resource: 'comments', action: 'get', key: 1, fields: ['id', 'text'] })
    transport.link.say({ type: 'reply', id, ok: true, ...wireRow(1), version: 4 })
    const comment = await row
    expect(comment).toEqual(wireRow(1).data)
    expect([client.comments.keyOf(comment), client.comments.versionOf(comment)]).toEqual([1, 4])
    expect(() => client.comments.keyOf({ ...comment })).toThrow(TypeError)
  })

  test('create, update and delete: what was done', async () => {
    const { client, transport } = liveClient()
    const created = client.comments.create(
      { topicId: 7, text: 'a' },
      { idempotencyKey: 'once', params: { topicId: 7 } },
    )
    const { id, ...create } = transport.link.takeRequest()
    expect(create).toEqual({
      type: 'request',
      resource: 'comments',
      action: 'create',
      data: { topicId: 7, text: 'a' },
      idempotencyKey: 'once',
      params: { topicId: 7 },
    })
    transport.link.say({ type: 'reply', id, ok: true, ...wireRow(1), version: 1, tx: 'x1' })
    expect(await created).toEqual({ key: 1, row: wireRow(1).data, version: 1, tx: 'x1', pending: false })

    const updated = client.comments.update(1, { text: 'b' }, { ifVersion: 1 })
    const update = transport.link.takeRequest()
    expect(update).toMatchObject({ action: 'update', key: 1, data: { text: 'b' }, ifVersion: 1 })
    transport.link.say({ type: 'reply', id: update.id, ok: true, key: 1, tx: 'x2', pending: true })
    expect(await updated).toEqual({ key: 1, row: undefined, version: undefined, tx: 'x2', pending: true })

    const deleted = client.comments.delete(1)
    const del = transport.link.takeRequest()
    expect(del).toMatchObject({ action: 'delete', key: 1 })
    transport.link.say({ type: 'reply', id: del.id, ok: true, key: 1, tx: 'x3' })
    expect(await deleted).toMatchObject({ key: 1, row: undefined })
  })

  test('own actions and describe: their data', async () => {
    const { client, transport } = liveClient()
    const archived = client.comments.action('archive', { key: 5 })
    const { id, ...request } = transport.link.takeRequest()
    expect(request).toEqual({ type: 'request', resource: 'comments', action: 'archive', key: 5 })
    transport.link.say({ type: 'reply', id, ok: true, key: 5, data: true })
    expect(await archived).toBe(true)
    const counted = client.comments.action('count', { data: { topicId: 7 } })
    transport.link.say({ type: 'reply', id: transport.link.takeRequest().id, ok: true, data: 3 })
    expect(await counted).toBe(3)
    const described = client.comments.describe()
    const describe = transport.link.takeRequest()
    expect(describe.action).toBe('describe')
    transport.link.say({ type: 'reply', id: describe.id, ok: true, data: { resource: 'comments', fields: {} } })
    expect(await described).toEqual({ resource: 'comments', fields: {} })
  })

  test('a refusal rejects with what the server said', async () => {
    const { client, transport } = liveClient()
    const failed = outcome(client.comments.create({ topicId: 7, text: '' }))
    const details = [{ path: ['text'], message: 'too short' }]
    const error = { code: 'invalid', message: 'no', retryable: false, retryAfter: 5, details }
    transport.link.say({ type: 'reply', id: transport.link.takeRequest().id, ok: false, error })
    expect(await failed).toBeInstanceOf(RtapiError)
    expect(await failed).toMatchObject({ code: 'invalid', message: 'no', retryAfter: 5, details })
  })

  test('a reply to nothing is ignored; a refusal without id is reported', () => {
    const { transport, reported } = liveClient()
    transport.link.say({ type: 'reply', id: 'nobody', ok: true })
    expect(reported).toEqual([])
    transport.link.say({ type: 'reply', ok: false, error: { code: 'bad_request', message: 'what?', retryable: false } })
    expect(reported).toMatchObject([{ code: 'bad_request' }])
  })
})

test('the views have shown a write when its promise resolves', async () => {
  const { client, transport } = liveClient()
  const view = client.comments.live()
  const { id } = transport.link.takeSubscribe()
  transport.link.say({
    type: 'snapshot',
    id,
    feed: 'f1',
    rows: [],
    part: 0,
    done: true,
    position: 'p1',
    order: [['id', 'asc', 'integer']],
  })
  const events: string[] = []
  view.subscribe((rows) => events.push(`view ${rows.length}`))
  const created = client.comments
    .create({ topicId: 7, text: 'a' })
    .then(() => events.push(`reply, view has ${view.rows.length}`))
  transport.link.say(
    { type: 'changes', feed: 'f1', from: 'p1', to: 'p2', changes: [{ action: 'create', ...wireRow(1) }] },
    { type: 'reply', id: transport.link.takeRequest().id, ok: true, ...wireRow(1) },
  )
  await created
  expect(events).toEqual(['view 0', 'view 1', 'reply, view has 1'])
})

describe('without a link', () => {
  test('reads go right behind hello, writes when the session is known', () => {
    const { client, transport } = scriptedClient()
    void outcome(client.comments.create({ topicId: 7, text: 'a' }))
    void outcome(client.comments.get(1))
    transport.link.open()
    expect(transport.link.frames).toHaveLength(1)
    expect(transport.link.take()).toMatchObject([{ type: 'hello' }, { type: 'request', action: 'get' }])
    transport.link.welcome()
    expect(transport.link.take()).toMatchObject([{ type: 'request', action: 'create' }])
  })

  test('a read that was on its way is sent again, before those that wait; a write is not', async () => {
    const { client, transport, clock } = liveClient()
    const read = client.comments.get(1)
    const write = outcome(client.comments.update(1, { text: 'b' }))
    const { id } = transport.link.take()[0] as { id: string }
    transport.link.drop()
    expect(await write).toBeInstanceOf(OutcomeUnknownError)
    expect(await write).toMatchObject({ code: 'outcome_unknown' })
    void outcome(client.comments.get(2))
    clock.advance(1_000)
    transport.link.open().welcome()
    const again = transport.link.take()
    expect(again).toMatchObject([{ type: 'hello' }, { type: 'request', id, key: 1 }, { type: 'request', key: 2 }])
    transport.link.say({ type: 'reply', id, ok: true, ...wireRow(1) })
    expect(await read).toEqual(wireRow(1).data)
  })

  test('a write that was not sent yet is sent once', () => {
    const { client, transport, clock } = liveClient()
    transport.link.drop()
    void outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(1_000)
    // A link that does not come as far as the welcome leaves it unsent.
    transport.link.open().drop()
    clock.advance(5_000)
    transport.link.open().welcome()
    expect(transport.link.takeOne('request').action).toBe('create')
  })

  test('so many may wait, and no more', async () => {
    const { client } = scriptedClient({ limits: { requestsQueued: 2 } })
    void outcome(client.comments.get(1))
    void outcome(client.comments.get(2))
    await expect(client.comments.get(3)).rejects.toMatchObject({ code: 'limit_exceeded' })
  })

  test('closing rejects what waits, and leaves the outcome of sent writes open', async () => {
    const { client, transport, clock } = liveClient()
    const sent = outcome(client.comments.create({ topicId: 7, text: 'a' }))
    const read = outcome(client.comments.get(1))
    expect(transport.link.take()).toHaveLength(2)
    client.close()
    expect(await sent).toBeInstanceOf(OutcomeUnknownError)
    expect(await read).toMatchObject({ code: 'unavailable' })
    expect(clock.timers).toBe(0)
  })
})

describe('time', () => {
  test('a request that could not be sent in time', async () => {
    const { client, clock } = scriptedClient()
    const late = outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(29_999)
    void outcome(client.comments.get(2, { timeout: 1 }))
    clock.advance(1)
    expect(await late).toMatchObject({ code: 'timeout' })
  })

  test('a sent read is given up, a sent write is unknown; late replies are nobody’s', async () => {
    const { client, transport, clock } = liveClient()
    const read = outcome(client.comments.get(1, { timeout: 1_000 }))
    const write = outcome(client.comments.delete(1, { timeout: 1_000 }))
    const messages = transport.link.take()
    clock.advance(1_000)
    expect(await read).toMatchObject({ code: 'timeout' })
    expect(await write).toBeInstanceOf(OutcomeUnknownError)
    for (const message of messages) if ('id' in message) transport.link.say({ type: 'reply', id: message.id, ok: true })
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome()
    expect(transport.link.take().map(({ type }) => type)).toEqual(['hello'])
  })
})

describe('what cannot be meant', () => {
  test('undefined in a filter, a parameter or a key: left out, it would ask for more', async () => {
    const { client, transport } = liveClient()
    // A project without exactOptionalPropertyTypes lets these pass.
    const where = { topicId: undefined } as object
    await expect(client.comments.list({ where })).rejects.toThrow('where.topicId is undefined')
    await expect(client.comments.list({ where: { or: [{ topicId: 7 }, where] } as object })).rejects.toThrow(
      'where.or.1.topicId',
    )
    await expect(client.comments.get(1, { params: where })).rejects.toThrow('params.topicId is undefined')
    expect(() => client.comments.live({ where: { topicId: Number.NaN } })).toThrow('where.topicId is NaN')
    expect(() => client.comments.live({ key: undefined } as object)).toThrow('key is undefined')
    expect(transport.link.take()).toEqual([])
  })

  test('what is no JSON', async () => {
    const { client, clock } = liveClient()
    const timers = clock.timers
    await expect(client.comments.create({ topicId: 7, text: 1n as unknown as string })).rejects.toThrow(TypeError)
    expect(() => client.comments.live({ where: { topicId: 1n as unknown as number } })).toThrow(TypeError)
    expect(clock.timers).toBe(timers)
  })

  test('what is changed after it was given', () => {
    const { client, transport } = scriptedClient()
    const data = { topicId: 7, text: 'a' }
    const where = { topicId: 7 }
    void outcome(client.comments.create(data))
    client.comments.live({ where })
    data.text = 'b'
    where.topicId = 8
    transport.link.open()
    expect(transport.link.takeSubscribe().where).toEqual({ topicId: 7 })
    transport.link.welcome()
    expect(transport.link.takeRequest().data).toEqual({ topicId: 7, text: 'a' })
  })
})

describe('limits of the server', () => {
  test('no more than so many are on their way', async () => {
    const { client, transport } = liveClient({ limits: { requestsInFlight: 2 } })
    for (const key of [1, 2, 3, 4]) void outcome(client.comments.get(key))
    const [first] = transport.link.take().filter((message) => message.type === 'request')
    expect(transport.link.take()).toEqual([])
    transport.link.say({ type: 'reply', id: first?.id, ok: true, ...wireRow(1) })
    expect(transport.link.takeRequest().key).toBe(3)
    await settle()
    expect(transport.link.take()).toEqual([])
  })

  test('a request above the server’s frame is refused here; the server would close the connection', async () => {
    const { client, transport } = liveClient()
    const big = outcome(client.comments.create({ topicId: 7, text: 'é'.repeat(32_768) }))
    const small = outcome(client.comments.create({ topicId: 7, text: 'e'.repeat(32_768) }))
    expect(await big).toMatchObject({ code: 'limit_exceeded' })
    const { id } = transport.link.takeRequest()
    transport.link.say({ type: 'reply', id, ok: true, key: 1 })
    expect(await small).toMatchObject({ key: 1 })
  })
})
