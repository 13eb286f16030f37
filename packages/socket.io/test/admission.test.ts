import { type Codec, jsonCodec } from '@rtapi/core'
import { io as connectTo } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect } from './client.ts'
import { type Served, serve } from './harness.ts'
import { RawSocket } from './raw-client.ts'
import type { ListenOptions } from './server.ts'

const other: Codec = { ...jsonCodec, name: 'other' }

/** What the client is told when it may not join. */
interface Refused {
  readonly message: string
  readonly data?: { readonly code: number }
}

async function refusalOf(connecting: Promise<unknown>): Promise<Refused> {
  const refused = await connecting.then(
    () => undefined,
    (error: unknown) => error as Refused,
  )
  return refused ?? expect.fail('it was let in')
}

/** A namespace has no door before it: the checks of the namespace alone refuse. */
describe.each(['websocket', 'polling'] as const)('a namespace refuses, over %s', (transport) => {
  const join = (port: number, headers: Readonly<Record<string, string>>): ReturnType<typeof connect> =>
    connect(port, { transport, namespace: '/rt', headers })

  test.each<[string, Readonly<Record<string, string>>]>([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['a foreign origin with cookies', { origin: 'https://evil.example', cookie: 'a=1' }],
    ['null', { origin: 'null' }],
    ['a twin', { origin: 'http://127.0.0.1.evil.example' }],
    ['a cookie without an origin', { cookie: 'a=1' }],
  ])('%s', async (_name, headers) => {
    const { port, api, io } = await serve({ namespace: '/rt', io: { cors: { origin: '*' } } })
    expect(await refusalOf(join(port, headers))).toMatchObject({ data: { code: 4403 } })
    expect(api.links).toEqual([])
    expect(io.of('/rt').sockets.size).toBe(0)
  })

  test('nobody else, and other namespaces of the server not at all', async () => {
    const { port, api } = await serve({ namespace: '/rt' })
    await join(port, { origin: `http://127.0.0.1:${port}`, cookie: 'a=1' })
    await join(port, {})
    await connect(port, { transport, headers: { origin: 'https://evil.example' } })
    expect(api.links).toHaveLength(2)
  })

  test('whom the middleware of the application lets in', async () => {
    const { port, io, api } = await serve({ namespace: '/rt' })
    io.of('/rt').use((_, next) => next())
    expect(await refusalOf(join(port, { origin: 'https://evil.example' }))).toMatchObject({ data: { code: 4403 } })
    io.of('/rt').use((_, next) => next(new Error('not today')))
    expect(await refusalOf(join(port, {}))).toMatchObject({ message: 'not today' })
    expect(api.links).toEqual([])
  })
})

describe('the codec', () => {
  const codecs = [other, jsonCodec]

  test.each<[string, unknown, string]>([
    ['that is named', 'other', 'other'],
    ['that is named, JSON', 'json', 'json'],
    ['of a client that names none is JSON', undefined, 'json'],
    ['of a client that names nothing is JSON', null, 'json'],
  ])('%s', async (_name, codec, chosen) => {
    const { port, api } = await serve({ api: { codecs } })
    await connect(port, { options: { auth: { codec } } })
    expect((await api.link(0)).codec.name).toBe(chosen)
  })

  test('of a client that names none is the first, if there is no JSON', async () => {
    const { port, api } = await serve({ api: { codecs: [other] } })
    await connect(port)
    expect((await api.link(0)).codec.name).toBe('other')
  })

  test.each(['JSON', '', '__proto__', 1, true, {}, ['json']].map((codec) => [codec]))('%j is none', async (codec) => {
    const { port, api } = await serve({ api: { codecs } })
    const refused = await refusalOf(connect(port, { options: { auth: { codec } } }))
    expect(refused).toMatchObject({ data: { code: 4406 }, message: expect.stringContaining('other, json') as string })
    expect(api.links).toEqual([])
  })
})

describe('the token', () => {
  const tokenOf = async ({ port, api }: Served, token: unknown): Promise<unknown> => {
    await connect(port, { options: { auth: { token } } })
    return (await api.link(0)).handshake
  }

  test('is told to the API', async () => {
    expect(await tokenOf(await serve(), 'secret')).toMatchObject({ token: 'secret' })
  })

  test('of 32,768 characters is taken', async () => {
    expect(await tokenOf(await serve(), 'x'.repeat(32_768))).toMatchObject({ token: 'x'.repeat(32_768) })
  })

  test.each([undefined, null])('%s is none', async (token) => {
    expect(await tokenOf(await serve(), token)).not.toHaveProperty('token')
  })

  test.each([['x'.repeat(32_769)], [1], [{}], [['a']], [true]])('%.10j is refused', async (token) => {
    const { port, api } = await serve()
    const refused = await refusalOf(connect(port, { options: { auth: { token } } }))
    expect(refused).toMatchObject({ data: { code: 4401 } })
    expect(api.links).toEqual([])
  })

  test('in the URL is not read', async () => {
    const { port, api } = await serve()
    await connect(port, { options: { query: { token: 'secret' } } })
    expect((await api.link(0)).handshake).not.toHaveProperty('token')
  })
})

describe('what the API is told', () => {
  test('is what the client has sent, without what says nothing about it', async () => {
    const { port, api } = await serve({ origins: 'any' })
    await connect(port, { headers: { cookie: 'a=1', 'x-test': 'A' }, options: { query: { page: '7' } } })
    const { transport, url, headers, remoteAddress } = (await api.link(0)).handshake
    expect({ transport, remoteAddress }).toEqual({ transport: 'socket.io', remoteAddress: '127.0.0.1' })
    expect(url).toMatch(/^\/socket.io\/\?.*page=7/)
    expect(headers).toMatchObject({ cookie: 'a=1', 'x-test': 'A', host: `127.0.0.1:${port}` })
    expect(Object.keys(headers).filter((name) => name.startsWith('sec-websocket'))).toEqual([])
  })

  test.each([
    [false, '127.0.0.1'],
    [true, '203.0.113.9'],
  ])('the address, with trustProxy %s', async (trustProxy, address) => {
    const { port, api } = await serve({ trustProxy })
    await connect(port, { headers: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' } })
    expect((await api.link(0)).handshake.remoteAddress).toBe(address)
  })
})

describe('a namespace counts its sockets', () => {
  const serveRt = (options: Omit<ListenOptions, 'api'>): Promise<Served> => serve({ namespace: '/rt', ...options })

  test('and refuses one too many', async () => {
    const { port, api } = await serveRt({ maxConnections: 1 })
    const first = await connect(port, { namespace: '/rt' })
    expect(await refusalOf(connect(port, { namespace: '/rt' }))).toMatchObject({ data: { code: 4452 } })
    first.close()
    await (await api.link(0)).untilClosed()
    await connect(port, { namespace: '/rt' })
  })

  test('and those of each address', async () => {
    const { port } = await serveRt({ maxConnectionsPerAddress: 1, trustProxy: true })
    const from = (address: string): Promise<unknown> =>
      connect(port, { namespace: '/rt', headers: { 'x-forwarded-for': address } })
    await from('203.0.113.1')
    expect(await refusalOf(from('203.0.113.1'))).toMatchObject({ data: { code: 4452 } })
    await from('203.0.113.2')
  })

  test('and how many come at once', async () => {
    const clock = { now: () => 0, monotonic: () => 0, setTimer: () => () => undefined, defer: setImmediate }
    const { port } = await serve({ namespace: '/rt', acceptRate: 1, api: { clock } })
    await connect(port, { namespace: '/rt' })
    expect(await refusalOf(connect(port, { namespace: '/rt' }))).toMatchObject({ data: { code: 4452 } })
  })

  test('and a connection that tries again pays no second time', async () => {
    const clock = { now: () => 0, monotonic: () => 0, setTimer: () => () => undefined, defer: setImmediate }
    const { port, api } = await serve({ namespace: '/rt', acceptRate: 1, api: { clock } })
    const client = await RawSocket.open(port)
    client.text('40/rt,{"token":1}')
    expect(await client.untilText('44/rt,')).toContain('4401')
    client.text('40/rt,{}')
    await api.link(0)
  })

  test('and how many namespaces a connection joins', async () => {
    const { port, api } = await serve({ namespace: /^\/rt-\d+$/ })
    const first = connectTo(`http://127.0.0.1:${port}/rt-0`, { forceNew: true })
    const manager = first.io
    onTestFinished(() => manager._close())
    for (let i = 1; i < 8; i++) manager.socket(`/rt-${i}`)
    await api.link(7)
    const refused = await new Promise((resolve) => manager.socket('/rt-8').once('connect_error', resolve))
    expect(refused).toMatchObject({ data: { code: 4429 }, message: 'Too many namespaces over one connection.' })
    first.disconnect()
    await Promise.race(api.links.map((link) => link.untilClosed()))
    manager.socket('/rt-9')
    await api.link(8)
  })

  test('and closes a connection that tries over and over', async () => {
    const { port, api } = await serveRt({})
    const client = await RawSocket.open(port)
    for (let i = 0; i < 20; i++) client.text('40/rt,{"token":1}')
    await client.until('twenty refusals', () => (client.texts.length === 21 ? true : undefined))
    client.text('40/rt,{}')
    expect(await client.closeCode()).toBe(1005)
    expect(api.links).toEqual([])
  })
})
