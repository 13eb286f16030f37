import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ConnectionState } from '../src/index.ts'
import { liveClient, scriptedClient, settle } from './support/scripted-client.ts'

describe('connecting', () => {
  test('begins with the first use, not before', () => {
    const { client, transport, clock } = scriptedClient()
    expect([client.connection.status, transport.links.length, clock.timers]).toEqual(['idle', 0, 0])
    client.comments.live()
    expect([client.connection.status, transport.links.length]).toEqual(['connecting', 1])
    client.connect()
    expect(transport.links.length).toBe(1)
  })

  test('offers the protocol and says hello first', () => {
    const { client, transport } = scriptedClient({ token: 't1', client: { name: 'board', version: '2' } })
    client.connect()
    expect(transport.link.request).toMatchObject({ url: 'ws://server/rt', protocols: ['rtapi.v1.json'] })
    transport.link.open()
    expect(transport.link.take()).toEqual([
      { type: 'hello', versions: [1], token: 't1', client: { name: 'board', version: '2' } },
    ])
  })

  test('tells its state', async () => {
    const { client, transport, clock } = scriptedClient()
    const seen: Partial<ConnectionState>[] = []
    client.connection.subscribe(({ status, user, retryIn, transport: name }) =>
      seen.push({ status, user, retryIn, transport: name }),
    )
    client.connect()
    await settle()
    transport.link.open().welcome({ user: 7 })
    await settle()
    transport.link.drop()
    await settle()
    clock.advance(750)
    await settle()
    transport.link.open().welcome({ user: 7 })
    await settle()
    client.close()
    await settle()
    expect(seen).toEqual([
      { status: 'idle' },
      { status: 'connecting', transport: 'scripted' },
      { status: 'live', user: 7, transport: 'scripted' },
      { status: 'reconnecting', user: 7, retryIn: 750, transport: 'scripted' },
      { status: 'reconnecting', user: 7, transport: 'scripted' },
      { status: 'live', user: 7, transport: 'scripted' },
      { status: 'closed', transport: 'scripted' },
    ])
    expect(client.connection.getSnapshot()).toBe(client.connection.getSnapshot())
  })

  test('a transport that can never work closes the connection', async () => {
    const { client } = scriptedClient({
      transport: {
        name: 'broken',
        connect() {
          throw new TypeError('no such address')
        },
      },
    })
    await expect(client.comments.get(1)).rejects.toThrow('no such address')
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'closed', error: { message: 'no such address' } })
  })

  test('an attempt without a welcome is given up', () => {
    const { client, transport, clock } = scriptedClient()
    client.connect()
    transport.link.open()
    clock.advance(9_999)
    expect(transport.link.closedByClient).toBeUndefined()
    clock.advance(1)
    expect(transport.link.closedByClient).toBeDefined()
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'connecting', retryIn: 750 })
    clock.advance(750)
    expect(transport.links).toHaveLength(2)
  })

  test('a client closed while it connects calls nobody back', () => {
    const { client, transport, clock } = scriptedClient()
    client.connect()
    client.close()
    transport.link.open().welcome()
    transport.link.drop()
    expect([client.connection.status, clock.timers, transport.links.length]).toEqual(['closed', 0, 1])
    expect(transport.link.take()).toEqual([])
  })
})

describe('coming back', () => {
  test('waits ever longer, with chance, at most 20 s; a stable connection starts over', () => {
    const { client, transport, clock } = scriptedClient()
    client.connect()
    const waits: (number | undefined)[] = []
    const lose = (): void => {
      transport.link.drop()
      const { retryIn } = client.connection.getSnapshot()
      waits.push(retryIn)
      clock.advance(retryIn ?? 0)
    }
    for (let i = 0; i < 8; i++) lose()
    expect(waits).toEqual([750, 1_000, 1_500, 2_500, 4_500, 8_500, 10_500, 10_500])
    // A welcome alone is not enough: a server that dies at once would be stormed.
    transport.link.open().welcome()
    clock.advance(4_999)
    lose()
    expect(waits.at(-1)).toBe(10_500)
    transport.link.open().welcome()
    clock.advance(5_000)
    lose()
    expect(waits.at(-1)).toBe(750)
  })

  test.each([
    [1000, 'reconnecting'],
    [1006, 'reconnecting'],
    [1011, 'reconnecting'],
    [4400, 'closed'],
    [4403, 'closed'],
    [4406, 'closed'],
    [4413, 'closed'],
    [4429, 'closed'],
    [4440, 'closed'],
    [4450, 'reconnecting'],
    [4452, 'reconnecting'],
    [4454, 'reconnecting'],
    [4500, 'reconnecting'],
  ])('%i: %s', (code, status) => {
    const { client, transport } = liveClient()
    transport.link.drop(code, 'because')
    expect(client.connection.getSnapshot()).toMatchObject({
      status,
      error: { message: expect.stringContaining('because') as string },
    })
  })

  test('goodbye says whether to come back, and after how long', () => {
    const { client, transport, clock } = liveClient()
    transport.link.goodbye(4452, { after: 3_210 })
    expect(transport.link.closedByClient).toBeDefined()
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'reconnecting', retryIn: 3_210 })
    clock.advance(3_210)
    transport.link.open().welcome().goodbye(4500, { again: false })
    expect(client.connection.status).toBe('closed')
  })

  test('what follows a goodbye in its frame is not heard', () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    transport.link.say(
      { type: 'goodbye', code: 4452, reason: 'draining', again: true },
      { type: 'end', id, error: { code: 'forbidden', message: 'no', retryable: false } },
    )
    expect(view.status).toBe('loading')
  })

  test('a frame that cannot be read ends the link', () => {
    const { client, transport } = liveClient()
    transport.link.request.onFrame('{"type":')
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'reconnecting',
      error: { cause: expect.any(SyntaxError) as Error },
    })
    expect(transport.link.closedByClient).toBeDefined()
  })
})

describe('a browser that is online again', () => {
  /** The events of a page, which Node does not have. */
  function page() {
    const events = new EventTarget()
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events))
    vi.stubGlobal('removeEventListener', events.removeEventListener.bind(events))
    onTestFinished(() => void vi.unstubAllGlobals())
    return events
  }

  test('is connected at once, instead of after the wait', () => {
    const events = page()
    const { client, transport, clock } = liveClient()
    transport.link.drop()
    events.dispatchEvent(new Event('online'))
    expect(transport.links).toHaveLength(2)
    // Not twice.
    events.dispatchEvent(new Event('online'))
    clock.advance(5_000)
    expect(transport.links).toHaveLength(2)
    client.close()
    events.dispatchEvent(new Event('online'))
    expect(transport.links).toHaveLength(2)
  })

  test('asks at once whether the link it has still stands', () => {
    const events = page()
    const { client, transport, clock } = liveClient()
    events.dispatchEvent(new Event('online'))
    expect(transport.link.take()).toEqual([{ type: 'ping' }])
    transport.link.say({ type: 'pong' })
    clock.advance(5_000)
    expect(client.connection.status).toBe('live')
    events.dispatchEvent(new Event('online'))
    clock.advance(5_000)
    expect(client.connection.status).toBe('reconnecting')
  })
})

describe('the heartbeat', () => {
  test('answers a ping', () => {
    const { transport } = liveClient()
    transport.link.say({ type: 'ping' })
    expect(transport.link.take()).toEqual([{ type: 'pong' }])
  })

  test('asks when the server’s ping is late, and gives the link up after interval and timeout', () => {
    const { client, transport, clock } = liveClient()
    clock.advance(20_000)
    transport.link.say({ type: 'ping' })
    transport.link.take()
    clock.advance(29_999)
    expect(transport.link.take()).toEqual([])
    clock.advance(1)
    expect(transport.link.take()).toEqual([{ type: 'ping' }])
    clock.advance(4_999)
    expect(client.connection.status).toBe('live')
    clock.advance(1)
    expect(client.connection.status).toBe('reconnecting')
    expect(transport.link.closedByClient?.code).toBe(4454)
  })

  test('any frame is life', () => {
    const { client, transport, clock } = liveClient()
    for (let i = 0; i < 10; i++) {
      clock.advance(29_000)
      transport.link.say({ type: 'weather' })
    }
    expect(client.connection.status).toBe('live')
    expect(transport.link.take()).toEqual([])
    clock.advance(30_000)
    transport.link.say({ type: 'pong' })
    clock.advance(5_000)
    expect(client.connection.status).toBe('live')
    clock.advance(30_000)
    expect(client.connection.status).toBe('reconnecting')
  })
})

describe('the inspector', () => {
  test('sees what passes, without the tokens', async () => {
    const { client, transport } = scriptedClient({ token: 'secret' })
    const seen: unknown[] = []
    const undo = client.onFrame((direction, messages) =>
      seen.push([direction, ...messages.map(({ type }) => type)], ...messages),
    )
    client.connect()
    transport.link.open().welcome()
    const auth = client.authenticate('secret too')
    const { id, token } = transport.link.takeOne('auth')
    expect(token).toBe('secret too')
    transport.link.say({ type: 'ping' }, { type: 'reply', id, ok: true })
    await auth
    expect(JSON.stringify(seen)).not.toContain('secret')
    expect(seen.filter(Array.isArray)).toEqual([
      ['out', 'hello'],
      ['in', 'welcome'],
      ['out', 'auth'],
      ['in', 'ping', 'reply'],
      ['out', 'pong'],
    ])
    undo()
    const before = seen.length
    transport.link.say({ type: 'ping' })
    expect(seen).toHaveLength(before)
  })

  test('may close the client', () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    client.onFrame((direction) => direction === 'in' && client.close())
    const { id } = transport.link.takeSubscribe()
    transport.link.say({ type: 'snapshot', id, feed: 'f1', rows: [], part: 0, done: true })
    expect([view.status, client.connection.status]).toEqual(['ended', 'closed'])
  })
})
