import { msgpackCodec } from '@rtapi/msgpack'
import { io } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket as WsWebSocket } from 'ws'
import {
  type ClientCodec,
  type ClientOptions,
  type ClientTransport,
  createClient,
  eventStreamTransport,
  longPollingTransport,
  socketIoTransport,
  webSocketTransport,
} from '../src/index.ts'
import { bytesCodec } from './support/bytes-codec.ts'
import { type Item, type ItemsApi, RealServers, type RealServersOptions, untilShown } from './support/real-servers.ts'

const texts = (rows: readonly { readonly text: string }[]): string[] => rows.map(({ text }) => text)

interface Row {
  readonly name: string
  readonly transport: () => ClientTransport
  readonly codec?: ClientCodec
  /** socket.io drops an event that arrives in the tick in which the socket is disconnected. */
  readonly dropsLastWords?: true
}

const rows: readonly Row[] = [
  { name: 'ws', transport: () => webSocketTransport() },
  { name: 'ws, the package', transport: () => webSocketTransport({ WebSocket: WsWebSocket }) },
  { name: 'ws, bytes', transport: () => webSocketTransport(), codec: bytesCodec },
  {
    name: 'ws, the package, bytes',
    transport: () => webSocketTransport({ WebSocket: WsWebSocket }),
    codec: bytesCodec,
  },
  {
    name: 'socket.io',
    transport: () => socketIoTransport(io, { options: { transports: ['websocket'] } }),
    dropsLastWords: true,
  },
  { name: 'socket.io, bytes', transport: () => socketIoTransport(io), codec: bytesCodec, dropsLastWords: true },
  {
    name: 'socket.io over its polling',
    transport: () => socketIoTransport(io, { options: { transports: ['polling'] } }),
  },
  { name: 'ws, MessagePack', transport: () => webSocketTransport(), codec: msgpackCodec },
  {
    name: 'socket.io, MessagePack',
    transport: () => socketIoTransport(io),
    codec: msgpackCodec,
    dropsLastWords: true,
  },
  { name: 'long-polling', transport: () => longPollingTransport() },
  // HTTP carries JSON whatever the client speaks elsewhere.
  { name: 'long-polling, bytes elsewhere', transport: () => longPollingTransport(), codec: bytesCodec },
  { name: 'event-stream', transport: () => eventStreamTransport() },
]

describe.each(rows)('$name', ({ transport, codec, dropsLastWords = false }) => {
  async function setUp(options: Partial<ClientOptions> = {}, serverOptions: RealServersOptions = {}) {
    const servers = await RealServers.start(serverOptions)
    const client = createClient<ItemsApi>({
      url: servers.url,
      transport: transport(),
      limits: { backoffMinimum: 20 },
      ...(codec === undefined ? {} : { codec }),
      ...options,
    })
    onTestFinished(async () => {
      client.close()
      await servers.stop()
      expect(servers.reported).toEqual([])
    })
    return { servers, client }
  }

  test('lists, follows, writes, and comes back after the link was cut', async () => {
    const { servers, client } = await setUp()
    const { store } = servers
    const view = client.items.live()
    await view.ready
    expect((await client.items.create({ text: 'a' })).row).toEqual({ id: 1, text: 'a' })
    expect(view.rows).toEqual([{ id: 1, text: 'a' }])
    store.create({ text: 'b' })
    await untilShown(view, (shown) => texts(shown).join() === 'a,b')
    servers.cut()
    store.create({ text: 'c' })
    store.delete(1)
    await untilShown(view, (shown) => texts(shown).join() === 'b,c')
    await expect.poll(() => client.connection.status).toBe('live')
    expect(client.connection.getSnapshot().recovery?.reset ?? 0).toBe(0)
  })

  test('a thousand frames each way arrive in order, once', async () => {
    const { servers, client } = await setUp()
    const view = client.items.live()
    await view.ready
    const received: string[] = []
    client.onFrame((direction, messages) => {
      for (const message of messages)
        if (direction === 'in' && message.type === 'changes')
          for (const { data } of message.changes) received.push((data as Item).text)
    })
    const written = Array.from({ length: 1_000 }, (_, at) => client.items.create({ text: String(at) }))
    await Promise.all(written)
    const all = Array.from({ length: 1_000 }, (_, at) => String(at))
    expect(texts(view.rows)).toEqual(all)
    expect(texts(servers.store.find())).toEqual(all)
    expect(received).toEqual(all)
  }, 30_000)

  test('big frames and any text arrive as they are', async () => {
    const { servers, client } = await setUp()
    // Below the server's limits for a text and for a frame, whatever the codec.
    const text = '😀é漢\u2028\u2029\r\n"\\ data: x\n\nid: 9\n'.repeat(300)
    expect((await client.items.create({ text })).row?.text).toBe(text)
    for (let i = 0; i < 200; i++) servers.store.create({ text })
    const view = client.items.live()
    await view.ready
    expect(view.rows).toHaveLength(201)
    expect(view.rows.every((row) => row.text === text)).toBe(true)
    expect(await client.items.action('echo', { data: text })).toBe(text)
  })

  test('a server that starts anew is found again, and views go on', async () => {
    const { servers, client } = await setUp()
    servers.store.create({ text: 'a' })
    const view = client.items.live()
    await view.ready
    await servers.kill()
    servers.store.create({ text: 'b' })
    await servers.listen()
    await untilShown(view, (shown) => texts(shown).join() === 'a,b')
    await client.items.create({ text: 'c' })
    expect(texts(view.rows)).toEqual(['a', 'b', 'c'])
  })

  test('a server that shuts down says when to come back', async () => {
    const { servers, client } = await setUp()
    await client.items.list()
    const goodbyes: unknown[] = []
    client.onFrame((_, messages) => goodbyes.push(...messages.filter(({ type }) => type === 'goodbye')))
    const drained = servers.drain()
    await expect
      .poll(() => goodbyes)
      .toEqual([expect.objectContaining({ code: 4452, again: true, after: expect.any(Number) as number })])
    expect(client.connection.status).toBe('reconnecting')
    await drained
  })

  test('a session that is ended closes the client, and its views', async () => {
    const { servers, client } = await setUp({ token: 'ann' })
    const view = client.items.live()
    await view.ready
    expect(client.connection.getSnapshot().user).toBe('ann')
    await servers.api.sessions.end({ user: 'ann' })
    await expect.poll(() => client.connection.status).toBe('closed')
    expect(client.connection.getSnapshot().error).toMatchObject({ code: 'unauthenticated' })
    expect(view.status).toBe('ended')
  })

  test('credentials that are refused close the client; others are taken, also in place', async () => {
    const { servers, client } = await setUp({ token: 'mallory' })
    servers.revoked.add('mallory')
    await expect(client.items.list()).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(client.connection.status).toBe('closed')
    await client.authenticate('ann/1')
    expect(client.connection.getSnapshot().user).toBe('ann')
    await client.authenticate('ann/2')
    servers.revoked.add('ann/1')
    await client.items.create({ text: 'a' })
    await client.authenticate('bob')
    expect(client.connection.getSnapshot().user).toBe('bob')
  })

  test('close leaves nothing behind at the server', async () => {
    const { servers, client } = await setUp()
    const view = client.items.live()
    await view.ready
    expect(servers.api.stats()).toMatchObject({ connections: 1, subscriptions: 1 })
    client.close()
    await expect.poll(() => servers.api.stats().connections).toBe(0)
  })

  test.skipIf(dropsLastWords)('what was sent before close arrives', async () => {
    const { servers, client } = await setUp()
    await client.items.list()
    const written = client.items.create({ text: 'last' })
    client.close()
    await expect(written).rejects.toMatchObject({ code: 'outcome_unknown' })
    // Whether the server still does what somebody wanted who has gone is for the server to say.
    await expect.poll(() => servers.received.at(-1)).toMatchObject({ action: 'create', data: { text: 'last' } })
  })

  test('a frame that is too big is refused before it is sent', async () => {
    const { client } = await setUp({}, { limits: { frame: 2_000 } })
    await client.items.list()
    await expect(client.items.create({ text: '"'.repeat(2_500) })).rejects.toMatchObject({ code: 'limit_exceeded' })
    expect((await client.items.create({ text: '"'.repeat(500) })).row?.text).toHaveLength(500)
  })
})
