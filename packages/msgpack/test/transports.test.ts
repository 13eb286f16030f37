import {
  type ClientMessage,
  type Codec,
  type ServerMessage,
  allowAny,
  createApi,
  defineResource,
  jsonCodec,
  memoryStore,
} from '@rtapi/core'
import { type RawLink, type TransportFactory, transportSuite } from '@rtapi/testing'
import { type Socket, io } from 'socket.io-client'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { msgpackCodec } from '../src/index.ts'
import { serving } from '../../socket.io/test/subject.ts'
import { serveSubject } from '../../ws/test/subject.ts'

const transports: readonly (readonly [string, TransportFactory])[] = [
  ['WebSockets', { name: 'ws', serve: serveSubject, binary: true, codec: msgpackCodec, origins: true }],
  ['socket.io', { name: 'socket.io', serve: serving('websocket'), binary: true, codec: msgpackCodec, origins: true }],
  [
    'polling of socket.io',
    { name: 'socket.io', serve: serving('polling'), binary: true, codec: msgpackCodec, origins: true },
  ],
]

describe.each(transports)('over %s', (_, factory) => {
  for (const { name, run } of transportSuite(factory)) test(name, run)

  test('clients with different codecs see the same changes', async () => {
    const connect = await serveCities(factory)
    const clients = [await connect(msgpackCodec), await connect(jsonCodec), await connect(msgpackCodec)]
    for (const client of clients) {
      client.send(
        { type: 'hello', versions: [1] },
        { type: 'subscribe', id: 's', resource: 'cities', where: { people: { gte: 2 ** 40 } } },
      )
      await client.next({ type: 'snapshot', id: 's', rows: [], done: true })
    }
    const data = { id: 1, name: 'Ur 😀', people: 2 ** 53 - 1, share: 0.1, more: { list: [null, true, { a: -1 }] } }
    clients[0]?.send({ type: 'request', id: 'r', resource: 'cities', action: 'create', data })
    await clients[0]?.next({ type: 'reply', id: 'r', ok: true, key: 1, data })
    for (const client of clients) await client.next({ type: 'changes', changes: [{ action: 'create', key: 1, data }] })
  })

  test('a frame that is no MessagePack is refused as any other bad frame is', async () => {
    const connect = await serveCities(factory)
    const client = await connect(msgpackCodec)
    client.send({ type: 'hello', versions: [1] })
    await client.next({ type: 'welcome' })
    await client.link.send(Uint8Array.of(0xd6, 0xff, 0, 0, 0, 0))
    await client.next({ type: 'reply', ok: false, error: { code: 'bad_request' } })
  })

  test('a text ends the link with 4400, said in MessagePack', async () => {
    const connect = await serveCities(factory)
    const client = await connect(msgpackCodec)
    await client.link.send(JSON.stringify({ type: 'hello', versions: [1] }))
    await client.next({ type: 'goodbye', code: 4400 })
  })
})

test('the stock client of socket.io asks for MessagePack by `auth.codec`', async () => {
  const api = createApi({ resources: [], codecs: [jsonCodec, msgpackCodec] })
  const subject = await serving('websocket')(api)
  const ask = (codec: string): Socket => io(subject.origin, { auth: { codec }, forceNew: true, reconnection: false })
  const [socket, refused] = [ask('msgpack'), ask('msgpack2')]
  onTestFinished(async () => {
    socket.disconnect()
    refused.disconnect()
    await Promise.all([api.close(), subject.close()])
    await subject.dispose?.()
  })
  const frame = new Promise((resolve) => socket.once('rtapi', resolve))
  const error = new Promise((resolve) => refused.once('connect_error', resolve))
  socket.emit('rtapi', msgpackCodec.encode([{ type: 'hello', versions: [1] }] as unknown as ServerMessage[]))
  expect(msgpackCodec.decode((await frame) as Buffer)).toMatchObject({ type: 'welcome', version: 1 })
  expect(await error).toMatchObject({ data: { code: 4406 } })
})

/** A link and what it says in one codec. */
interface Client {
  readonly link: RawLink
  send(...messages: ClientMessage[]): void
  /** Waits until a message like this one has come. */
  next(like: object): Promise<void>
}

/** Serves an API, and answers how to connect to it. */
async function serveCities(factory: TransportFactory): Promise<(codec: Codec) => Promise<Client>> {
  const store = memoryStore({
    entity: 'City',
    fields: { id: 'integer', name: 'string', people: 'integer', share: 'number', more: 'json' },
  })
  const cities = defineResource('cities', {
    store,
    input: { create: ['id', 'name', 'people', 'share', 'more'] },
    permissions: [allowAny],
  })
  const api = createApi({ resources: [cities], changes: [store], codecs: [jsonCodec, msgpackCodec] })
  const subject = await factory.serve(api)
  onTestFinished(async () => {
    await Promise.all([api.close(), subject.close()])
    await subject.dispose?.()
  })
  return async (codec) => {
    const link = await subject.connect({ codec: codec.name })
    const messages = (): unknown[] => link.received.flatMap((frame) => codec.decode(frame))
    return {
      link,
      send(...frame) {
        void link.send(codec.encode(frame as unknown as ServerMessage[]))
      },
      async next(like) {
        await vi.waitFor(() => {
          if (!messages().some((message) => isLike(message, like))) expect(messages()).toContainEqual(like)
        }, 4_000)
      },
    }
  }
}

/** Whether a message has these members, and within them these. */
function isLike(message: unknown, like: unknown): boolean {
  if (typeof like !== 'object' || like === null) return Object.is(message, like)
  if (typeof message !== 'object' || message === null || Array.isArray(message) !== Array.isArray(like)) return false
  const members = message as Readonly<Record<string, unknown>>
  return Object.entries(like).every(([name, member]) => isLike(members[name], member))
}
