import { describe, expect, test } from 'vitest'
import { opened, read, recorded, welcome } from './support/asking.ts'

describe('opening', () => {
  test('answers the first frames as soon as there are some', async () => {
    const { asking, api, clock } = recorded()
    const held = await asking.send('POST', '/rt', { body: 'hello' })
    const link = await api.link(0)
    expect(link.received).toEqual(['hello'])
    link.send(welcome)
    link.send({ type: 'pong' })
    await clock.settle()
    const { head, frames } = await held.answer
    expect(head).toEqual({ session: link.socket.id, from: 0, cursor: 2 })
    expect(frames.map((frame) => (JSON.parse(frame) as { type: string }).type)).toEqual(['welcome', 'pong'])
    expect(head.session).toMatch(/^[0-9a-f]{32}$/)
  })

  test('without a frame it is answered at once, and the first frame comes with a number', async () => {
    const { asking, api } = recorded()
    const { head } = await read(await asking.ask('POST', '/rt'))
    expect(head).toMatchObject({ from: 0, cursor: 0 })
    await asking.frame(head.session, 1, 'hello')
    expect((await api.link(0)).received).toEqual(['hello'])
  })

  test('a repeated opening finds the session that the first has made, and runs nothing', async () => {
    const { asking, api, clock } = recorded()
    const init = { body: 'hello', headers: { 'rtapi-open': '0123456789abcdef' } }
    const first = await asking.send('POST', '/rt', init)
    const second = await asking.send('POST', '/rt', init)
    const link = await api.link(0)
    link.send(welcome)
    await clock.settle()
    const [replaced, current] = await Promise.all([first.answer, second.answer])
    expect(replaced).toMatchObject({ head: { session: link.socket.id, from: 0, cursor: 0 }, frames: [] })
    expect(current).toMatchObject({ head: { session: link.socket.id, from: 0, cursor: 1 } })
    const third = await read(await asking.ask('POST', '/rt', init))
    expect(third.frames).toEqual(current.frames)
    expect([api.links.length, link.received.length]).toEqual([1, 1])
    await asking.ask('POST', '/rt/close', { body: JSON.stringify({ session: link.socket.id }) })
    await asking.send('POST', '/rt', init)
    expect(api.links.length, 'links once the session is over').toBe(2)
  })

  test.each([
    ['another token', { authorization: 'Bearer other' }, 'hello'],
    ['another cookie', { cookie: 'user=other' }, 'hello'],
    ['another token in hello', {}, '{"type":"hello","versions":[1],"token":"other"}'],
  ])('the same text by a client with %s is another opening', async (_name, headers, body) => {
    const { asking, api } = recorded({ origins: 'any' })
    const open = { 'rtapi-open': '0123456789abcdef' }
    await asking.send('POST', '/rt', { body: 'hello', headers: open })
    await asking.send('POST', '/rt', { body, headers: { ...open, ...headers } })
    expect(api.links.length).toBe(2)
  })

  test.each(['short', 'x'.repeat(65), '0123456789abcdef!'])('%s is no text to open with', async (open) => {
    const { asking, api } = recorded()
    const response = await asking.ask('POST', '/rt', { body: 'hello', headers: { 'rtapi-open': open } })
    expect([response.status, api.links.length]).toEqual([400, 0])
  })
})

describe('polling', () => {
  test('a poll waits for frames, and those of one tick come in one answer', async () => {
    const client = await opened()
    const { link, session, clock } = client
    const held = await client.poll(session, 1)
    expect(held.isHeld).toBe(true)
    link.socket.send({ data: 'a' })
    link.socket.send({ data: 'b' })
    await clock.settle()
    expect(await held.answer).toEqual({ status: 200, head: { session, from: 1, cursor: 3 }, frames: ['a', 'b'] })
  })

  test('frames whose answer was lost come again; acknowledged ones do not', async () => {
    const client = await opened()
    const { link, session } = client
    link.socket.send({ data: 'a' })
    for (let i = 0; i < 2; i++) expect((await (await client.poll(session, 1)).answer).frames).toEqual(['a'])
    link.socket.send({ data: 'b' })
    expect((await (await client.poll(session, 1)).answer).frames).toEqual(['a', 'b'])
    expect((await (await client.poll(session, 2)).answer).frames).toEqual(['b'])
    const late = await (await client.poll(session, 1)).answer
    expect(late, 'a repetition of an older poll').toEqual({
      status: 200,
      head: { session, from: 2, cursor: 2 },
      frames: [],
    })
  })

  test('a second poll takes the place of the first, which is answered at once with nothing', async () => {
    const client = await opened()
    const { link, session, clock } = client
    const first = await client.poll(session, 1)
    const second = await client.poll(session, 1)
    expect([first.isHeld, second.isHeld]).toEqual([false, true])
    expect((await first.answer).head).toEqual({ session, from: 1, cursor: 1 })
    link.socket.send({ data: 'a' })
    await clock.settle()
    expect((await second.answer).frames).toEqual(['a'])
  })

  test('a poll that comes late does not take the place of one that knows more', async () => {
    const client = await opened()
    const { link, session, clock } = client
    link.socket.send({ data: 'a' })
    const current = await client.poll(session, 2)
    const late = await client.poll(session, 1)
    expect([late.isHeld, current.isHeld]).toEqual([false, true])
    link.socket.send({ data: 'b' })
    await clock.settle()
    expect((await current.answer).frames).toEqual(['b'])
  })

  test('after the hold time a poll is answered with nothing', async () => {
    const client = await opened({ hold: 5_000 })
    const held = await client.poll(client.session, 1)
    await client.clock.advance(4_900)
    expect(held.isHeld).toBe(true)
    await client.clock.advance(1_200)
    expect(await held.answer).toMatchObject({ head: { from: 1, cursor: 1 }, frames: [] })
  })

  test('an answer holds about a mebibyte, and one frame at least', async () => {
    const client = await opened()
    const { link, session } = client
    const sizes = [600_000, 600_000, 2_000_000, 10]
    for (const size of sizes) link.socket.send({ data: 'x'.repeat(size) })
    const found: number[][] = []
    for (let cursor = 1; cursor < 5;) {
      const { head, frames } = await (await client.poll(session, cursor)).answer
      found.push(frames.map(({ length }) => length))
      cursor = head.cursor
    }
    expect(found).toEqual([[600_000], [600_000], [2_000_000], [10]])
  })

  test('what waits counts as buffered until it is acknowledged, and then drains', async () => {
    const client = await opened()
    const { link, session } = client
    await client.poll(session, 1)
    expect(link.socket.bufferedAmount).toBe(0)
    link.socket.send({ data: 'x'.repeat(100_000) })
    await client.clock.settle()
    expect(link.socket.bufferedAmount).toBe(100_000)
    const { drains } = link
    await client.poll(session, 2)
    expect([link.socket.bufferedAmount, link.drains]).toEqual([0, drains + 1])
  })

  test('a client that goes while its poll waits frees it, and the session ends in time', async () => {
    const client = await opened({ sessionTimeout: 30_000 })
    const gone = new AbortController()
    const held = await client.poll(client.session, 1, { signal: gone.signal })
    await client.clock.advance(10_000)
    gone.abort()
    await client.clock.settle()
    expect(held.isHeld).toBe(false)
    await client.clock.advance(29_000)
    expect(client.link.closings).toEqual([])
    await client.clock.advance(2_000)
    expect(client.link.closings).toEqual([{ code: 4454, reason: 'no poll in time' }])
    expect((await client.ask('POST', '/rt/poll', { body: `{"session":"${client.session}","cursor":1}` })).status).toBe(
      404,
    )
    expect(client.clock.timers).toBe(0)
  })

  test('a client that polls again and again without getting further is told to wait', async () => {
    const client = await opened()
    const { session, clock, link } = client
    const statuses = async (cursors: readonly number[]): Promise<number[]> => {
      const found: number[] = []
      for (const cursor of cursors) {
        const held = await client.poll(session, cursor)
        if (!held.isHeld) found.push((await held.response).status)
      }
      return found
    }
    await clock.advance(500)
    expect(await statuses([1, 1, 1, 1, 1]), 'four replace one another, one is held').toEqual([429])
    await clock.advance(500)
    for (const data of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) link.socket.send({ data })
    expect(await statuses([2, 3, 4, 5, 6, 7]), 'getting further').toEqual([200, 200, 200, 200, 200, 200])
    expect(await statuses([7, 6, 7, 6]), 'two that take turns').toEqual([200, 200, 200, 429])
    const refused = await (await client.poll(session, 7)).response
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toMatchObject({ error: { code: 'rate_limited', retryAfter: 1_000, retryable: true } })
    await clock.advance(500)
    expect(await statuses([7])).toEqual([200])
  })

  test.each([
    ['no JSON', 'x'],
    ['no object', '[]'],
    ['no session', '{"cursor":1}'],
    ['no cursor', '{"session":"SESSION"}'],
    ['a cursor that is text', '{"session":"SESSION","cursor":"1"}'],
    ['a cursor below zero', '{"session":"SESSION","cursor":-1}'],
    ['a cursor that was never given', '{"session":"SESSION","cursor":2}'],
    ['a cursor that nobody can give', '{"session":"SESSION","cursor":1e300}'],
    ['a field too many', '{"session":"SESSION","cursor":1,"more":1}'],
  ])('%s is no poll', async (_name, body) => {
    const client = await opened()
    const response = await client.ask('POST', '/rt/poll', { body: body.replace('SESSION', client.session) })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ type: 'reply', ok: false, error: { code: 'bad_request' } })
  })
})

describe('frames of the client', () => {
  test('a repeated frame is taken once, one that comes too early is refused', async () => {
    const client = await opened()
    const { link, session } = client
    const statuses: number[] = []
    for (const [number, body] of [
      [1, 'a'],
      [1, 'a'],
      [3, 'c'],
      [2, 'b'],
      [1, 'a'],
      [3, 'c'],
    ] as const)
      statuses.push((await client.frame(session, number, body)).status)
    expect(statuses).toEqual([200, 200, 409, 200, 200, 200])
    expect(link.received).toEqual(['hello', 'a', 'b', 'c'])
  })

  test('two copies that come at once are taken once', async () => {
    const client = await opened()
    const headers = { 'rtapi-session': client.session, 'rtapi-sequence': '1' }
    const init = { body: 'a', headers }
    await Promise.all([client.ask('POST', '/rt', init), client.ask('POST', '/rt', init)])
    expect(client.link.received).toEqual(['hello', 'a'])
  })

  test('with a cursor the answer brings what is there, unless a poll waits for it', async () => {
    const client = await opened()
    const { link, session, clock } = client
    link.socket.send({ data: 'a' })
    const cursor = { 'rtapi-cursor': '1' }
    expect(await read(await client.frame(session, 1, 'x'))).toMatchObject({ frames: [] })
    expect(await read(await client.frame(session, 2, 'x', cursor))).toMatchObject({
      head: { from: 1, cursor: 2 },
      frames: ['a'],
    })
    const held = await client.poll(session, 2)
    const pending = client.frame(session, 3, 'x', { 'rtapi-cursor': '2' })
    link.socket.send({ data: 'b' })
    expect(await read(await pending)).toMatchObject({ frames: [] })
    await clock.settle()
    expect((await held.answer).frames).toEqual(['b'])
  })

  test.each([
    [{ 'rtapi-sequence': '' }],
    [{ 'rtapi-sequence': '-1' }],
    [{ 'rtapi-sequence': '1.5' }],
    [{ 'rtapi-sequence': '9'.repeat(16) }],
    [{ 'rtapi-cursor': 'x' }],
    [{ 'rtapi-cursor': '2' }],
  ])('%o is refused, and the frame is not taken', async (headers) => {
    const client = await opened()
    expect((await client.frame(client.session, 1, 'a', headers)).status).toBe(400)
    expect(client.link.received).toEqual(['hello'])
  })
})

describe('the end', () => {
  test('the API says goodbye: the answer has the last frames and the end, again and again', async () => {
    const client = await opened()
    const { link, session } = client
    const held = await client.poll(session, 1)
    link.socket.send({ data: 'a' })
    link.socket.close(4440, 'revoked')
    link.socket.send({ data: 'too late' })
    await client.clock.settle()
    const wanted = { head: { session, from: 1, cursor: 2, closed: { code: 4440, reason: 'revoked' } }, frames: ['a'] }
    expect(await held.answer).toMatchObject(wanted)
    expect(await (await client.poll(session, 1)).answer).toMatchObject(wanted)
    expect(link.closings).toEqual([{ code: 4440, reason: 'revoked' }])
    await client.clock.advance(31_000)
    expect((await (await client.poll(session, 1)).response).status).toBe(404)
    expect([client.clock.timers, link.closings.length]).toEqual([0, 1])
  })

  test('a client that goes is gone', async () => {
    const client = await opened()
    const { link, session } = client
    const held = await client.poll(session, 1)
    const response = await client.ask('POST', '/rt/close', { body: JSON.stringify({ session }) })
    expect(await response.json()).toEqual({ session, closed: { code: 1000, reason: 'client closed' } })
    expect((await held.answer).frames).toEqual([])
    expect(link.closings).toEqual([{ code: 1000, reason: 'client closed' }])
    expect((await client.ask('POST', '/rt/close', { body: JSON.stringify({ session }) })).status).toBe(404)
    expect(client.clock.timers).toBe(0)
  })

  test('a service that ends tells its clients when to come back, and lets nobody in meanwhile', async () => {
    const client = await opened()
    const { session, clock } = client
    const held = await client.poll(session, 1)
    let isClosed = false
    const closed = client.handler.close().then(() => (isClosed = true))
    expect((await client.ask('POST', '/rt', { body: 'hello' })).status).toBe(503)
    expect((await client.ask('POST', '/rt/notes/list')).status).toBe(503)
    await closed
    const { head, frames } = await held.answer
    expect(head.closed).toEqual({ code: 4452, reason: 'draining' })
    const goodbye = JSON.parse(frames[0] ?? '') as { readonly after: number }
    expect(goodbye).toMatchObject({ type: 'goodbye', code: 4452, again: true })
    expect(goodbye.after).toBeLessThan(5_000)
    expect(isClosed).toBe(true)
    expect((await (await client.poll(session, 1)).response).status).toBe(503)
    expect(clock.timers).toBe(0)
  })

  test.each([
    { timeout: 3_000, waits: 2_900, ends: 3_100, why: 'as long as it was told' },
    { timeout: 30_000, waits: 4_900, ends: 6_100, why: 'until it is clear that they will not come' },
  ])('a service that ends waits for clients which do not ask, $why', async ({ timeout, waits, ends }) => {
    const client = await opened({ sessionTimeout: 100_000 })
    let isClosed = false
    void client.handler.close({ timeout }).then(() => (isClosed = true))
    await client.clock.advance(waits)
    expect(isClosed).toBe(false)
    await client.clock.advance(ends - waits)
    expect(isClosed).toBe(true)
    expect([client.clock.timers, client.link.closings]).toEqual([0, [{ code: 4452, reason: 'draining' }]])
  })
})

test('pings of the API are answered for clients that poll: their polls are signs of life', async () => {
  const client = await opened()
  const held = await client.poll(client.session, 1)
  client.link.send({ type: 'ping' })
  await client.clock.settle()
  expect(held.isHeld).toBe(true)
  expect(client.link.received).toEqual(['hello', '{"type":"pong"}'])
})
