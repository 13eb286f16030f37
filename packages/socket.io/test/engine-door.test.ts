import { type Server as HttpServer, createServer } from 'node:http'
import { recordingApi } from '@rtapi/testing'
import { Server } from 'socket.io'
import { io as connectTo } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { serveSocketIo, socketIoOptions } from '../src/index.ts'
import { serve, until } from './harness.ts'
import { type Headers, RawSocket, poll } from './raw-client.ts'
import { type ListenOptions, listenOn } from './server.ts'

const HOST = 'app.example:8080'
const OWN = `http://${HOST}`

/** Whether a handshake gets a connection, by each transport. */
const ways: Readonly<Record<string, (port: number, headers: Headers) => Promise<boolean>>> = {
  websocket: async (port, headers) => (await RawSocket.open(port, { Host: HOST, ...headers })).status === 101,
  polling: async (port, headers) =>
    (await poll(port, { headers: { Host: HOST, ...(headers as Record<string, string>) } })).status === 200,
}

test('further polls and the upgrade of a session are asked for their origin as well', async () => {
  const { port } = await serve()
  const { sid } = JSON.parse((await poll(port)).body.slice(1)) as { sid: string }
  const query = `&sid=${sid}`
  const foreign = { Origin: 'https://evil.example' }
  expect((await poll(port, { query, headers: foreign })).status).toBe(400)
  expect((await poll(port, { query, headers: foreign, body: '40{}' })).status).toBe(400)
  expect((await RawSocket.open(port, foreign, query)).status).toBe(400)
  expect((await poll(port, { query, body: '40{}' })).status).toBe(200)
  expect((await RawSocket.open(port, { Origin: `http://127.0.0.1:${port}` }, query)).status).toBe(101)
})

describe.each(Object.entries(ways))('over %s', (transport, shake) => {
  const isLetIn = async (options: Omit<ListenOptions, 'api'>, headers: Headers): Promise<boolean> => {
    const { port, io } = await serve(options)
    const isIn = await shake(port, headers)
    expect(io.engine.clientsCount).toBe(isIn ? 1 : 0)
    return isIn
  }

  test.each<[string, Headers, boolean]>([
    ['the own origin', { Origin: OWN }, true],
    ['a program without Origin and cookies', {}, true],
    ['no Origin but a cookie', { Cookie: 'a=1' }, false],
    ['a foreign origin', { Origin: 'https://evil.example' }, false],
    ['a foreign origin with cookies', { Origin: 'https://evil.example', Cookie: 'a=1' }, false],
    ['null', { Origin: 'null' }, false],
    ['null with cookies', { Origin: 'null', Cookie: 'a=1' }, false],
    ['an empty origin', { Origin: '' }, false],
    ['a longer twin', { Origin: `${OWN}.evil.example` }, false],
    ['a twin that ends alike', { Origin: `http://evil${HOST}` }, false],
    ['another port', { Origin: 'http://app.example:8081' }, false],
    ['another scheme', { Origin: `https://${HOST}` }, false],
    ['upper case', { Origin: OWN.toUpperCase() }, false],
    ['a read that says it is of a foreign page', { 'Sec-Fetch-Site': 'cross-site' }, false],
    [
      'a read of the own page, which a WebSocket is not',
      { Cookie: 'a=1', 'Sec-Fetch-Site': 'same-origin' },
      transport === 'polling',
    ],
  ])('%s', async (_name, headers, isIn) => {
    expect(await isLetIn({}, headers)).toBe(isIn)
  })

  test('a listed origin', async () => {
    const options = { origins: ['https://app.example.com'] }
    expect(await isLetIn(options, { Origin: 'https://app.example.com', Cookie: 'a=1' })).toBe(true)
    expect(await isLetIn(options, { Origin: 'https://app.example.com.evil.example', Cookie: 'a=1' })).toBe(false)
    expect(await isLetIn({ origins: 'any' }, { Origin: 'https://evil.example', Cookie: 'a=1' })).toBe(true)
  })

  test('`cors` alone lets a foreign page in; the door does not, whatever `cors` allows', async () => {
    const cors = { origin: 'https://app.example.com' }
    const foreign = { Origin: 'https://evil.example', Cookie: 'a=1' }
    expect(await shake(await listenPlainly({ cors }), foreign), 'without this package').toBe(true)
    expect(await isLetIn({ io: { cors } }, foreign)).toBe(false)
    expect(await isLetIn({ io: { cors: { origin: '*' } } }, foreign)).toBe(false)
  })

  test("the server's own allowRequest is asked too, after the origin", async () => {
    const asked: string[] = []
    const io: ListenOptions['io'] = {
      allowRequest(request, answer) {
        asked.push(request.headers.origin ?? '')
        answer('not today', request.headers['x-pass'] === 'yes')
      },
    }
    expect(await isLetIn({ io }, { Origin: 'https://evil.example', 'X-Pass': 'yes' })).toBe(false)
    expect(asked).toEqual([])
    expect(await isLetIn({ io }, { Origin: OWN })).toBe(false)
    expect(await isLetIn({ io }, { Origin: OWN, 'X-Pass': 'yes' })).toBe(true)
    expect(asked).toEqual([OWN, OWN])
  })

  test('a server that is attached after it is served', async () => {
    const api = recordingApi()
    const io = new Server({ serveClient: false, ...socketIoOptions(api) })
    serveSocketIo(api, io, { maxConnections: 1 })
    const http = createServer()
    io.attach(http)
    const port = await listenUntilTheEnd(http, io)
    expect(await shake(port, { Origin: 'https://evil.example' })).toBe(false)
    expect(await shake(port, { Origin: OWN })).toBe(true)
    expect(await shake(port, { Origin: OWN }), 'the first is counted').toBe(false)
    expect(api.reports).toEqual([])
  })

  test('more connections than there may be, though they have joined no namespace', async () => {
    const { port, io } = await serve({ maxConnections: 2 })
    expect([await shake(port, {}), await shake(port, {}), await shake(port, {})]).toEqual([true, true, false])
    closeAll(io)
    await until('the server to be empty', () => io.engine.clientsCount === 0)
    expect(await shake(port, {})).toBe(true)
  })

  test('more connections from one address than there may be, as a trusted proxy says', async () => {
    const { port } = await serve({ maxConnectionsPerAddress: 1, trustProxy: true })
    const from = (address: string): Promise<boolean> => shake(port, { 'X-Forwarded-For': address })
    expect(await from('203.0.113.1')).toBe(true)
    expect(await from('203.0.113.1')).toBe(false)
    expect(await from('spoofed, 203.0.113.1')).toBe(false)
    expect(await from('203.0.113.2')).toBe(true)
  })

  test('what says a proxy that is not trusted is not heard', async () => {
    const { port } = await serve({ maxConnectionsPerAddress: 1 })
    expect(await shake(port, { 'X-Forwarded-For': '203.0.113.1' })).toBe(true)
    expect(await shake(port, { 'X-Forwarded-For': '203.0.113.1' })).toBe(true)
    expect(await shake(port, { 'X-Forwarded-Host': 'x.example', Origin: 'http://x.example' })).toBe(false)
  })

  test('more handshakes a second than there may be', async () => {
    const { port } = await serve({ acceptRate: 2, api: { clock: standing } })
    expect([await shake(port, {}), await shake(port, {}), await shake(port, {})]).toEqual([true, true, false])
  })
})

test('the stock client comes back by itself after it was refused at the door', async () => {
  const { port, io, api } = await serve({ maxConnections: 1 })
  await RawSocket.open(port)
  const client = connectTo(`http://127.0.0.1:${port}`, {
    forceNew: true,
    reconnectionDelay: 10,
    transports: ['websocket'],
  })
  onTestFinished(() => void client.disconnect())
  const [error] = (await new Promise((resolve) => client.once('connect_error', (...args) => resolve(args)))) as [Error]
  expect(error.message).toBe('websocket error')
  expect(client.active).toBe(true)
  closeAll(io)
  await api.link(0)
})

test('the refusal says what would be right', async () => {
  const { port } = await serve()
  const { status, body } = await poll(port, { headers: { Origin: 'https://evil.example' } })
  expect([status, body]).toEqual([403, expect.stringContaining('option `origins`')])
  expect((await RawSocket.open(port, { Origin: 'https://evil.example' })).body).toContain('option `origins`')
})

test('a service that has closed gives the door back', async () => {
  const allowRequest = (_: unknown, answer: (message: null, success: boolean) => void): void => answer(null, true)
  const { port, service, io } = await serve({ io: { allowRequest } })
  expect(io.engine.opts.allowRequest).not.toBe(allowRequest)
  await service.close()
  expect([io.engine.opts.allowRequest, io._opts.allowRequest]).toEqual([allowRequest, allowRequest])
  expect(io.engine.listenerCount('connection')).toBe(1)
  expect((await RawSocket.open(port, { Origin: 'https://evil.example' })).status).toBe(101)
})

/** A clock by which no time passes. */
const standing = {
  now: () => 0,
  monotonic: () => 0,
  setTimer: () => () => undefined,
  defer: (run: () => void) => void setImmediate(run),
}

async function listenPlainly(options: ListenOptions['io']): Promise<number> {
  const http = createServer()
  const io = new Server(http, { serveClient: false, ...options })
  return listenUntilTheEnd(http, io)
}

async function listenUntilTheEnd(http: HttpServer, io: Server): Promise<number> {
  const { port, stop } = await listenOn(http)
  onTestFinished(async () => {
    stop()
    await io.close()
  })
  return port
}

/** Closes the connections that there are. */
function closeAll({ engine }: Server): void {
  for (const conn of Object.values(engine['clients'])) conn.close(true)
}
