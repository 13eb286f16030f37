import { describe, expect, test } from 'vitest'
import { liveClient, scriptedClient, settle } from './support/scripted-client.ts'
import { shownView } from './support/shown-view.ts'

/** A source of tokens in the hands of the test. */
function tokenSource() {
  const asked: { resolve: (token: string | null) => void; reject: (error: Error) => void }[] = []
  const source = (): Promise<string | null> => new Promise((resolve, reject) => void asked.push({ resolve, reject }))
  return { asked, source }
}

function outcome<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => error as Error)
}

describe('a source of tokens', () => {
  test('is asked anew at each connect', async () => {
    let count = 0
    const { client, transport, clock } = scriptedClient({ token: () => `t${++count}` })
    client.connect()
    expect(transport.link.open().takeOne('hello').token).toBe('t1')
    transport.link.welcome().drop()
    clock.advance(1_000)
    expect(transport.link.open().takeOne('hello').token).toBe('t2')
    await settle()
  })

  test('may take its time, and may know no token', async () => {
    const { asked, source } = tokenSource()
    const { client, transport } = scriptedClient({ token: source })
    client.connect()
    expect(transport.links).toHaveLength(0)
    asked[0]?.resolve(null)
    await settle()
    expect(transport.link.open().takeOne('hello')).not.toHaveProperty('token')
  })

  test('that fails, or does not answer, is asked again after a while', async () => {
    const { asked, source } = tokenSource()
    const { client, transport, clock } = scriptedClient({ token: source })
    client.connect()
    asked[0]?.reject(new Error('no network'))
    await settle()
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'connecting',
      retryIn: 750,
      error: { cause: { message: 'no network' } },
    })
    clock.advance(750)
    expect(asked).toHaveLength(2)
    clock.advance(10_000)
    expect(client.connection.getSnapshot().retryIn).toBe(1_000)
    asked[1]?.resolve('too late')
    await settle()
    expect(transport.links).toHaveLength(0)
    clock.advance(1_000)
    asked[2]?.resolve('t')
    await settle()
    expect(transport.link.open().takeOne('hello').token).toBe('t')
  })

  test('that throws is treated alike', () => {
    const { client } = scriptedClient({
      token: () => {
        throw new Error('mine')
      },
    })
    client.connect()
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'connecting',
      error: { cause: { message: 'mine' } },
    })
  })

  test('closing while it is asked ends it', async () => {
    const { asked, source } = tokenSource()
    const { client, transport, clock } = scriptedClient({ token: source })
    client.connect()
    client.close()
    asked[0]?.resolve('t')
    await settle()
    expect([transport.links.length, clock.timers, client.connection.status]).toEqual([0, 0, 'closed'])
  })
})

describe('credentials that are refused (4401)', () => {
  test('a fixed token is not tried again', async () => {
    const { client, transport } = scriptedClient({ token: 'old' })
    const read = outcome(client.comments.get(1))
    transport.link.open().goodbye(4401)
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'closed', error: { code: 'unauthenticated' } })
    expect(await read).toMatchObject({ code: 'unauthenticated' })
    await expect(client.comments.get(1)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('a source is asked once more, then it is over', () => {
    let count = 0
    const { client, transport } = scriptedClient({ token: () => `t${++count}` })
    client.connect()
    transport.link.open().goodbye(4401)
    expect(transport.link.open().takeOne('hello').token).toBe('t2')
    transport.link.goodbye(4401)
    expect([client.connection.status, count]).toEqual(['closed', 2])
  })

  test('after a welcome it may be refused again, but not in a tight loop', () => {
    const { client, transport, clock } = scriptedClient({ token: () => 't' })
    client.connect()
    transport.link.open().welcome()
    clock.advance(20_000)
    transport.link.goodbye(4401)
    expect(transport.links).toHaveLength(2)
    transport.link.open().welcome().goodbye(4401)
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'reconnecting', retryIn: 1_000 })
  })

  test('a token set after the hello is tried when that of the hello is refused', async () => {
    const { client, transport } = scriptedClient({ token: 'old' })
    client.connect()
    transport.link.open()
    const taken = client.authenticate('new')
    expect(transport.link.takeOne('hello').token).toBe('old')
    transport.link.goodbye(4401)
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome()
    await taken
  })

  test('a token set after the hello follows the welcome', async () => {
    const { client, transport } = scriptedClient({ token: 'old' })
    client.connect()
    transport.link.open()
    const taken = client.authenticate('new')
    transport.link.welcome()
    expect(transport.link.take()).toMatchObject([
      { type: 'hello', token: 'old' },
      { type: 'auth', token: 'new' },
    ])
    transport.link.goodbye(4401)
    expect(client.connection.status).toBe('closed')
    await expect(taken).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('signing in again after that starts again', async () => {
    const { client, transport } = scriptedClient({ token: 'old' })
    client.connect()
    transport.link.open().goodbye(4401)
    const auth = client.authenticate('new')
    expect(client.connection.status).toBe('connecting')
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome({ user: 'u1' })
    await auth
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', user: 'u1', error: undefined })
  })
})

describe('other credentials in place', () => {
  test('go in an auth; the promise follows the reply', async () => {
    const { client, transport } = liveClient({ token: 'old' })
    const taken = client.authenticate('new')
    const auth = transport.link.takeOne('auth')
    expect(auth.token).toBe('new')
    transport.link.say({ type: 'reply', id: auth.id, ok: true })
    await taken
    const refused = outcome(client.authenticate(null))
    const second = transport.link.takeOne('auth')
    expect(second.token).toBeNull()
    transport.link.say({
      type: 'reply',
      id: second.id,
      ok: false,
      error: { code: 'unauthenticated', message: 'no', retryable: false },
    })
    expect(await refused).toMatchObject({ code: 'unauthenticated' })
  })

  test('of somebody else: closed with 4451, back at once as them, then the promise resolves', async () => {
    const { client, transport } = liveClient({ token: 'old' })
    const taken = client.authenticate('new')
    transport.link.goodbye(4451)
    expect(transport.links).toHaveLength(2)
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome({ user: 'u2' })
    await taken
  })

  test('4451 by itself waits as any other', () => {
    const { client, transport } = liveClient()
    transport.link.goodbye(4451)
    expect(client.connection.getSnapshot().retryIn).toBe(750)
  })

  test('while the link is being opened they go in its hello', async () => {
    const { client, transport } = scriptedClient({ token: 'old' })
    client.connect()
    const taken = client.authenticate('new')
    expect(transport.link.open().take()).toMatchObject([{ type: 'hello', token: 'new' }])
    transport.link.welcome()
    await taken
  })

  test('while the client waits to reconnect they go in the next hello', async () => {
    const { client, transport, clock } = liveClient({ token: 'old' })
    transport.link.drop()
    const taken = client.authenticate(() => 'new')
    clock.advance(1_000)
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome()
    await taken
  })

  test('an older token that comes late does not win', async () => {
    const { asked, source } = tokenSource()
    const { client, transport } = scriptedClient({ token: source })
    client.connect()
    const taken = client.authenticate('new')
    asked[0]?.resolve('old')
    await settle()
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome()
    await taken
  })

  test('a source that answers after the hello is followed by an auth, and only its reply counts', async () => {
    const { asked, source } = tokenSource()
    const { client, transport } = scriptedClient({ token: 'old' })
    client.connect()
    let done = false
    const taken = client.authenticate(source).then(() => (done = true))
    transport.link.open().welcome()
    expect(transport.link.takeOne('hello').token).toBe('old')
    await settle()
    expect(done).toBe(false)
    asked[0]?.resolve('new')
    await settle()
    const auth = transport.link.takeOne('auth')
    expect(auth.token).toBe('new')
    transport.link.say({ type: 'reply', id: auth.id, ok: true })
    await taken
  })

  test('a link that is lost before the reply leaves the word to the next welcome', async () => {
    const { client, transport, clock } = liveClient()
    const taken = client.authenticate('new')
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome()
    await taken
  })

  test('are refused with the connection', async () => {
    const { client, transport } = liveClient()
    const taken = outcome(client.authenticate('bad'))
    transport.link.goodbye(4401)
    expect(await taken).toMatchObject({ code: 'unauthenticated' })
    const closed = outcome(client.authenticate('bad'))
    client.close()
    expect(await closed).toMatchObject({ code: 'unavailable' })
  })
})

describe('a session that is ended (4440) while other credentials are under way', () => {
  test('sent: the client comes back with them, and shows nothing from before', async () => {
    const { client, transport, clock, view } = shownView(liveClient({ token: 'old' }))
    clock.advance(20_000)
    const taken = client.authenticate('new')
    transport.link.takeOne('auth')
    transport.link.goodbye(4440)
    expect([client.connection.status, view.rows]).toEqual(['reconnecting', []])
    const [hello, subscribe] = transport.link.open().take()
    expect(hello).toMatchObject({ type: 'hello', token: 'new' })
    expect(subscribe).toMatchObject({ type: 'subscribe' })
    expect(subscribe).not.toHaveProperty('since')
    transport.link.welcome({ user: 'u2' })
    await taken
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', user: 'u2', error: undefined })
  })

  test('being asked for: so it does with what the source answers', async () => {
    const { asked, source } = tokenSource()
    const { client, transport, clock } = liveClient({ token: 'old' })
    const taken = client.authenticate(source)
    transport.link.goodbye(4440)
    // It had not lived long: not at once.
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'reconnecting', retryIn: 750 })
    clock.advance(750)
    for (const { resolve } of asked) resolve('new')
    await settle()
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome()
    await taken
  })

  test('set after the hello: so it does', async () => {
    const { client, transport, clock } = scriptedClient({ token: 'old' })
    client.connect()
    transport.link.open()
    const taken = client.authenticate('new')
    transport.link.goodbye(4440)
    clock.advance(750)
    expect(transport.link.open().takeOne('hello').token).toBe('new')
    transport.link.welcome()
    await taken
  })

  test.each([
    ['the same ones again', undefined, 'old'],
    ['others that the server refuses in turn', 'new', 'new'],
  ])('%s: then it is over', async (_, token, last) => {
    const { client, transport, clock } = liveClient({ token: 'old' })
    const taken = outcome(client.authenticate(token))
    transport.link.goodbye(4440)
    if (token !== undefined) {
      clock.advance(750)
      expect(transport.link.open().takeOne('hello').token).toBe(last)
      transport.link.goodbye(4440)
    }
    expect([client.connection.status, clock.timers]).toEqual(['closed', 0])
    expect(await taken).toBeInstanceOf(Error)
  })

  test('taken before: they are those of the session that is over', async () => {
    const { client, transport } = liveClient({ token: 'old' })
    const taken = client.authenticate('new')
    const { id } = transport.link.takeOne('auth')
    transport.link.say({ type: 'reply', id, ok: true })
    await taken
    transport.link.goodbye(4440)
    expect(client.connection.status).toBe('closed')
  })
})

describe('a session about to expire', () => {
  test('is renewed from the source', async () => {
    let count = 0
    const { client, transport } = liveClient({ token: () => `t${++count}` })
    transport.link.say({ type: 'expiring', expiresAt: 1 })
    const auth = transport.link.takeOne('auth')
    expect(auth.token).toBe('t2')
    transport.link.say({ type: 'reply', id: auth.id, ok: true })
    await settle()
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', error: undefined })
  })

  test('a fixed token cannot be renewed', () => {
    const { transport } = liveClient({ token: 't' })
    transport.link.say({ type: 'expiring', expiresAt: 1 })
    expect(transport.link.take()).toEqual([])
  })

  test('a source that fails is asked again while the link stands', async () => {
    let works = true
    const { client, transport, clock } = liveClient({
      token: () => {
        if (!works) throw new Error('offline')
        return 't'
      },
    })
    works = false
    transport.link.say({ type: 'expiring', expiresAt: 1 })
    await settle()
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', error: { cause: { message: 'offline' } } })
    works = true
    clock.advance(750)
    const auth = transport.link.takeOne('auth')
    transport.link.say({ type: 'reply', id: auth.id, ok: true })
    await settle()
    expect(client.connection.getSnapshot().error).toBeUndefined()
  })

  test('is not renewed without a pause, where the server says so again and again', async () => {
    const { transport, clock } = liveClient({ token: () => 't' })
    const times: number[] = []
    for (let elapsed = 0; elapsed < 20_000; elapsed += 250) {
      transport.link.say({ type: 'expiring', expiresAt: 1 })
      for (const message of transport.link.take()) {
        if (message.type !== 'auth') continue
        times.push(elapsed)
        transport.link.say({ type: 'reply', id: message.id, ok: true })
        await settle()
      }
      clock.advance(250)
    }
    expect(times.length).toBeLessThan(8)
    expect(times.length).toBeGreaterThan(3)
  })

  test('no renewal outlives its link', async () => {
    let works = true
    const { client, transport, clock } = liveClient({
      token: () => {
        if (!works) throw new Error('offline')
        return 't'
      },
    })
    works = false
    transport.link.say({ type: 'expiring', expiresAt: 1 })
    await settle()
    client.close()
    expect(clock.timers).toBe(0)
  })
})
