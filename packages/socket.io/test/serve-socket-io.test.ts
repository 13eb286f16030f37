import { createServer } from 'node:http'
import type { ServerMessage } from '@rtapi/core'
import { fakeClock, recordingApi, settle } from '@rtapi/testing'
import { Server, type Socket } from 'socket.io'
import { describe, expect, onTestFinished, test } from 'vitest'
import { serveSocketIo } from '../src/index.ts'
import { board, serveBoard } from './board.ts'
import { connect } from './client.ts'
import { serve, until } from './harness.ts'
import { RawPolling, RawSocket } from './raw-client.ts'
import { listenOn } from './server.ts'
import { StockClient } from './stock-client.ts'

const hello = { type: 'hello', versions: [1] } as const
const subscribe = { type: 'subscribe', id: 'a', resource: 'notes' } as const

describe.each([['websocket'], ['polling']] as const)('the stock client, over %s', (transport) => {
  const transports = [transport]

  test('subscribes, writes, and sees what others write', async () => {
    const { url, store } = await serveBoard()
    const client = new StockClient(url, { transports, auth: { token: 'ada' } })
    client.send(hello, subscribe)
    expect(await client.next('welcome')).toMatchObject({ version: 1, user: 'ada' })
    const { feed } = await client.next('snapshot')
    const data = { id: 1, text: 'first' }
    client.send({ type: 'request', id: 'b', resource: 'notes', action: 'create', data })
    expect(await client.next('changes')).toMatchObject({ feed, changes: [{ action: 'create', key: 1, data }] })
    expect(await client.next('reply')).toMatchObject({ id: 'b', ok: true, key: 1 })
    store.create({ id: 2, text: 'second' })
    expect(await client.next('changes')).toMatchObject({ changes: [{ action: 'create', key: 2 }] })
  })

  test('resumes where it was after its connection was cut, without a reset', async () => {
    const { url, store, io } = await serveBoard()
    const client = new StockClient(url, { transports })
    client.send(hello, subscribe)
    await client.next('snapshot')
    store.create({ id: 1, text: 'first' })
    const { to } = await client.next('changes')
    const again = new Promise<void>((resolve) => client.socket.once('disconnect', () => resolve()))
    for (const { conn } of io.of('/').sockets.values()) conn.close()
    await again
    store.create({ id: 2, text: 'second' })
    // The stock client has come back by itself; rtapi wants a hello on each connection.
    client.send(hello, { ...subscribe, since: to, have: [1] })
    const snapshot = await client.next('snapshot')
    expect(snapshot.rows.map(({ key }) => key)).toEqual([2])
    expect(client.messages.filter(({ type }) => type === 'reset')).toEqual([])
  })

  test.each<
    [
      number,
      Parameters<typeof serveBoard>[0],
      (client: StockClient, served: Awaited<ReturnType<typeof serveBoard>>) => unknown,
    ]
  >([
    [4401, {}, (client) => client.send({ ...hello, token: 'wrong' })],
    [4406, {}, (client) => client.send({ type: 'hello', versions: [2] })],
    [
      4408,
      { io: { connectTimeout: 60_000 }, api: { limits: { helloTimeout: 1 }, report: () => undefined } },
      () => undefined,
    ],
    [4400, {}, (client) => client.send({ type: 'ping' }, { type: 'unsubscribe', id: 'a' })],
    [4413, { api: { limits: { frame: 100 } } }, (client) => client.send({ ...hello, token: 'x'.repeat(100) })],
    [
      4429,
      { api: { limits: { burst: 1, rate: 1 } } },
      (client) => {
        client.send(hello)
        for (let i = 0; i < 2_000; i++) client.send({ type: 'ping' })
      },
    ],
    [
      4440,
      {},
      async (client, { api }) => {
        client.send({ ...hello, token: 'ada' })
        await client.next('welcome')
        await api.sessions.end({ user: 'ada' })
      },
    ],
    [
      4452,
      {},
      async (client, { api }) => {
        client.send(hello)
        await client.next('welcome')
        await api.close()
      },
    ],
  ])('is told %i', async (code, options, act) => {
    const served = await serveBoard(options)
    const client = new StockClient(served.url, { transports, reconnection: false })
    const ended = new Promise((resolve) => client.socket.once('disconnect', resolve))
    await new Promise<void>((resolve) => client.socket.once('connect', resolve))
    await act(client, served)
    expect(await client.next('goodbye')).toMatchObject({ code, again: code >= 4450 })
    expect(await ended).toBe('io server disconnect')
    expect(served.api.stats().connections).toBe(0)
  })
})

describe.each(['websocket', 'polling'] as const)('a client that does not read, over %s', (transport) => {
  const limits = { sendSoft: 65_536, sendHard: 262_144, sendTimeout: 1_000, heartbeatInterval: 600_000 }
  const pad = 'x'.repeat(30_000)

  const messagesOf = ({ received }: { received: readonly (string | Uint8Array)[] }): ServerMessage[] =>
    received.flatMap((data) => [JSON.parse(String(data)) as ServerMessage | ServerMessage[]].flat())

  test('costs a bounded buffer, is told the newest of each record when it reads again, and slows nobody', async () => {
    const { port, store, sockets } = await serveBoard({ api: { limits: { ...limits, sendTimeout: 600_000 } } })
    const [slow, quick] = [await connect(port, { transport }), await connect(port)]
    for (const client of [slow, quick]) client.send(JSON.stringify([hello, subscribe]))
    await until('both snapshots', () => slow.received.length === 2 && quick.received.length === 2)
    const [socket] = sockets
    store.create({ id: 1, text: '' })
    await until('the record', () => slow.received.length === 3)
    slow.pause()
    let version = 0
    const write = async (): Promise<void> => {
      store.update(1, { text: `${++version} ${pad}` })
      await settle()
    }
    while ((socket?.bufferedAmount ?? 0) <= limits.sendSoft) await write()
    let most = 0
    for (let i = 0; i < 500; i++) {
      await write()
      most = Math.max(most, socket?.bufferedAmount ?? 0)
    }
    expect(most).toBeLessThan(limits.sendSoft + 3 * 60_000)
    await until('all changes', () => String(quick.received.at(-1)).includes(`"${version} x`))
    expect(messagesOf(quick).filter(({ type }) => type === 'changes')).toHaveLength(version + 1)
    slow.resume()
    await until('the newest', () => String(slow.received.at(-1)).includes(`"${version} x`))
    const changes = messagesOf(slow).filter((message) => message.type === 'changes')
    expect(changes.length).toBeLessThan(version - 490)
    for (const [i, { from }] of changes.entries()) if (i > 0) expect(from).toBe(changes[i - 1]?.to)
    expect(messagesOf(slow).filter(({ type }) => type === 'reset')).toEqual([])
    await until('room', () => socket?.bufferedAmount === 0)
  })

  test('is closed with 4450 when it has not for too long, and hears so when it does', async () => {
    const { port, store, sockets, api, io } = await serveBoard({ api: { limits } })
    const [slow, quick] = [await connect(port, { transport }), await connect(port)]
    for (const client of [slow, quick]) client.send(JSON.stringify([hello, subscribe]))
    await until('both snapshots', () => slow.received.length === 2 && quick.received.length === 2)
    store.create({ id: 1, text: '' })
    slow.pause()
    let version = 0
    let most = 0
    while (api.stats().connections === 2) {
      store.update(1, { text: `${++version} ${pad}` })
      await settle()
      most = Math.max(most, sockets[0]?.bufferedAmount ?? 0)
    }
    expect(most).toBeLessThan(limits.sendHard)
    await until('all changes', () => String(quick.received.at(-1)).includes(`"${version} x`))
    expect(messagesOf(quick).filter(({ type }) => type === 'reset')).toEqual([])
    slow.resume()
    expect(await slow.closed).toEqual({ type: 'goodbye', code: 4450, reason: 'reading too slowly', again: true })
    await until('the connection to be gone', () => io.engine.clientsCount === 1)
  })
})

describe('namespaces', () => {
  test('each has an API of its own, over one connection; who leaves one stays in the other, and may come back', async () => {
    const { url, store, io } = await serveBoard()
    const other = board()
    serveSocketIo(other.api, io.of('/other'))
    const main = new StockClient(url)
    const second = new StockClient(`${url}/other`)
    expect(second.socket.io).toBe(main.socket.io)
    for (const client of [main, second]) {
      client.send(hello, subscribe)
      await client.next('snapshot')
    }
    expect(io.engine.clientsCount).toBe(1)
    store.create({ id: 1, text: 'main' })
    other.store.create({ id: 1, text: 'other' })
    expect(await main.next('changes')).toMatchObject({ changes: [{ data: { text: 'main' } }] })
    expect(await second.next('changes')).toMatchObject({ changes: [{ data: { text: 'other' } }] })

    second.socket.disconnect()
    await until('it to be gone', () => other.api.stats().connections === 0)
    store.create({ id: 2, text: 'still there' })
    expect(await main.next('changes')).toMatchObject({ changes: [{ data: { text: 'still there' } }] })
    second.socket.connect()
    second.send(hello, subscribe)
    expect((await second.next('snapshot')).rows).toHaveLength(1)
    expect(io.engine.clientsCount).toBe(1)
    expect(second.messages.filter(({ type }) => type === 'goodbye')).toEqual([])
  })

  test('one API in two namespaces tells a change in both', async () => {
    const { url, io, api, store } = await serveBoard()
    serveSocketIo(api, io.of('/other'))
    const clients = [new StockClient(url), new StockClient(`${url}/other`), new StockClient(url, { forceNew: true })]
    for (const client of clients) {
      client.send(hello, subscribe)
      await client.next('snapshot')
    }
    store.create({ id: 1, text: 'to all' })
    for (const client of clients) expect(await client.next('changes')).toMatchObject({ changes: [{ key: 1 }] })
  })

  test('a namespace may be dynamic', async () => {
    const { url, store, io, service } = await serveBoard({ namespace: /^\/tenant-\d+$/ })
    const clients = [new StockClient(`${url}/tenant-1`), new StockClient(`${url}/tenant-2`)]
    for (const client of clients) {
      client.send(hello, subscribe)
      await client.next('snapshot')
    }
    store.create({ id: 1, text: 'to all' })
    for (const client of clients) expect(await client.next('changes')).toMatchObject({ changes: [{ key: 1 }] })
    expect([...io._nsps.keys()]).toEqual(['/', '/tenant-1', '/tenant-2'])
    const closed = service.close()
    for (const client of clients) expect(await client.next('goodbye')).toMatchObject({ code: 4452 })
    await closed
  })

  test('a namespace is served once, also after that has ended', async () => {
    const { api, io, service } = await serve()
    expect(() => serveSocketIo(api, io)).toThrow(new TypeError('the namespace / is already served'))
    await service.close()
    expect(() => serveSocketIo(api, io.of('/'))).toThrow('the namespace / is already served')
    serveSocketIo(api, io.of('/other'))
  })
})

test('what is no server, and an origin that is none, are refused at once', () => {
  const api = recordingApi()
  expect(() => serveSocketIo(api, createServer() as never)).toThrow('expected a socket.io Server or Namespace')
  expect(() => serveSocketIo(api, new Server(), { origins: ['app.example.com'] })).toThrow(/origins: '/)
})

describe('what happens in the middle', () => {
  test('an application that sends a socket away before it is accepted', async () => {
    const api = recordingApi()
    const http = createServer()
    const io = new Server(http, { serveClient: false })
    io.on('connection', (socket: Socket) => void socket.disconnect())
    const service = serveSocketIo(api, io)
    const { port, stop } = await listenOn(http)
    onTestFinished(async () => {
      stop()
      await io.close()
    })
    await (await RawSocket.join(port)).untilText('41')
    expect(api.links).toEqual([])
    await service.close()
  })

  test('one that does so right after', async () => {
    const { port, api, io, service } = await serve()
    io.on('connection', (socket: Socket) => void socket.disconnect())
    const client = await RawSocket.join(port)
    await client.closeCode()
    await (await api.link(0)).untilClosed()
    await service.close()
  })

  test('a client that goes while the middleware of the application is busy', async () => {
    const { port, api, io, service } = await serve({ maxConnections: 1 })
    const busy: (() => void)[] = []
    io.use((_, next) => void busy.push(next))
    const client = await RawSocket.open(port)
    client.text('40{}')
    await until('the middleware', () => busy.length === 1)
    client.raw.destroy()
    await until('the connection to be gone', () => io.engine.clientsCount === 0)
    busy[0]?.()
    await settle()
    expect(api.links).toEqual([])
    const next = await RawSocket.open(port)
    next.text('40{}')
    await until('the middleware', () => busy.length === 2)
    busy[1]?.()
    await api.link(0)
    await service.close()
  })

  test('a place that was taken while it was busy', async () => {
    const { port, api, io } = await serve({ maxConnections: 1, namespace: '/rt' })
    const busy: (() => void)[] = []
    io.of('/rt').use((_, next) => void busy.push(next))
    const clients = [await RawSocket.open(port), await RawSocket.open(port)]
    for (const client of clients) client.text('40/rt,{}')
    await until('the middleware', () => busy.length === 2)
    for (const next of busy) next()
    expect(await clients[1]?.untilText('42')).toContain('4452')
    await clients[1]?.untilText('41')
    expect(api.links).toHaveLength(1)
  })

  test('a frame for a socket that core closes within accept is not sent, and nothing is left of it', async () => {
    const { port, api, service } = await serve({ api: { onAccept: ({ socket }) => socket.close(4429, 'too many') } })
    const client = await RawSocket.join(port)
    await client.untilText('41')
    expect(await (await api.link(0)).untilClosed()).toEqual({ code: 4429, reason: 'too many' })
    await service.close()
  })
})

describe('connection state recovery', () => {
  /** Comes back with the session of a client whose connection was cut. */
  async function recover(port: number, headers: Readonly<Record<string, string>>): Promise<RawSocket> {
    const first = await RawSocket.join(port)
    const { pid } = JSON.parse((await first.untilText('40')).slice(2)) as { pid: string }
    const offset = (JSON.parse((await first.untilText('42["note"')).slice(2)) as string[]).at(-1)
    first.raw.destroy()
    return RawSocket.open(port, headers).then((client) => {
      client.text(`40${JSON.stringify({ pid, offset })}`)
      return client
    })
  }

  test('skips the middleware, but not the checks', async () => {
    const { port, api, io } = await serve({ namespace: '/', io: { connectionStateRecovery: {} } })
    io.on('connection', (socket: Socket) => void socket.emit('note'))
    const recovered: boolean[] = []
    io.on('connection', (socket: Socket) => recovered.push(socket.recovered))

    const own = await recover(port, {})
    await own.untilText('40')
    await api.link(1)
    const foreign = await recover(port, { Origin: 'https://evil.example' })
    expect(await foreign.untilText('42["rtapi"')).toContain('4403')
    await foreign.untilText('41')
    expect(recovered).toEqual([false, true, false, true])
    expect(api.links).toHaveLength(3)
  })

  test('brings back no frames: a new link begins', async () => {
    const { port, api, io } = await serve({ io: { connectionStateRecovery: {} } })
    io.on('connection', (socket: Socket) => void socket.emit('note'))
    const client = recover(port, {})
    ;(await api.link(0)).socket.send({ data: 'before' })
    await (await api.link(0)).untilClosed()
    ;(await api.link(1)).socket.send({ data: 'after' })
    await (await client).untilText('42["rtapi","after"]')
    expect((await client).texts.join()).not.toContain('before')
  })
})

describe('close', () => {
  test('says goodbye to everybody, waits for what was sent, lets nobody in, and leaves the server as it is', async () => {
    const { port, api, service, io } = await serve()
    const clients = [await connect(port), await connect(port, { transport: 'polling' })]
    for (const { socket } of api.links) socket.send({ data: 'last words' })
    const closed = service.close()
    expect(service.close()).toBe(closed)
    await expect(connect(port)).rejects.toMatchObject({ data: { code: 4452 } })
    for (const client of clients) {
      const { after, ...goodbye } = (await client.closed) as { after?: number }
      expect(goodbye).toEqual({ type: 'goodbye', code: 4452, reason: 'draining', again: true })
      expect(after).toBeLessThan(5_000)
      expect(client.received).toEqual(['last words'])
    }
    await closed
    await expect(connect(port)).rejects.toMatchObject({ data: { code: 4452 } })
    await connect(port, { namespace: io.of('/other').name })
    expect(api.links).toHaveLength(2)
  })

  test.each(['websocket', 'polling'] as const)('ends whoever has not gone in time, over %s', async (transport) => {
    const clock = fakeClock()
    const { port, api, service, io } = await serve({ api: { clock } })
    const client = await connect(port, { transport })
    const { socket } = await api.link(0)
    client.pause()
    while (socket.bufferedAmount < 1_048_576) {
      for (let i = 0; i < 8; i++) socket.send({ data: 'x'.repeat(65_536) })
      clock.tick()
      await settle()
    }
    let isClosed = false
    const closed = service.close({ timeout: 1_000 }).then(() => (isClosed = true))
    await clock.advance(999)
    expect([isClosed, io.engine.clientsCount]).toEqual([false, 1])
    await clock.advance(1)
    await closed
    expect([clock.timers, io.engine.clientsCount]).toEqual([0, 0])
    expect(await (await api.link(0)).untilClosed()).toMatchObject({ code: 4452 })
  })

  test('without clients is done at once', async () => {
    const clock = fakeClock()
    const { service } = await serve({ api: { clock } })
    await service.close()
    expect(clock.timers).toBe(0)
  })

  test('of the server itself tells every link of its end', async () => {
    const { port, api, io, service } = await serve()
    await RawSocket.join(port)
    await RawPolling.join(port)
    await io.close()
    expect(io.engine.clientsCount, 'polling waits for no further poll').toBe(0)
    for (const link of api.links)
      expect(await link.untilClosed()).toEqual({ code: 1006, reason: 'server shutting down' })
    await service.close()
  })
})
