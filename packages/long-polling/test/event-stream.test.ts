import { settle } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'
import { type Headers, opened, recorded, welcome } from './support/asking.ts'
import { rawText, readStream } from './support/stream.ts'

type Opened = Awaited<ReturnType<typeof opened>>

const streamOf = async (client: Opened, cursor: number, headers: Headers = {}): Promise<Response> =>
  await client.ask('GET', `/rt/stream?session=${client.session}&cursor=${cursor}`, { headers })

describe('the events of a session', () => {
  test('each frame is an event whose id is the session and its number', async () => {
    const client = await opened()
    const { link, session, clock } = client
    const response = await streamOf(client, 0)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const stream = readStream(response)
    link.socket.send({ data: '{"a":1}' })
    await clock.settle()
    expect(await stream.next()).toEqual({ event: 'message', id: `${session}.1`, data: JSON.stringify(welcome) })
    expect(await stream.next()).toEqual({ event: 'message', id: `${session}.2`, data: '{"a":1}' })
  })

  test('line ends within a frame do not end its event', async () => {
    const client = await opened()
    client.link.socket.send({ data: 'a\nb\r\nc\rd' })
    expect(await readStream(await streamOf(client, 1)).next()).toMatchObject({ data: 'a\nb\nc\nd' })
  })

  test('Last-Event-ID says where to go on, before the query does', async () => {
    const client = await opened()
    const { link, session } = client
    for (const data of ['a', 'b', 'c']) link.socket.send({ data })
    const after = async (headers: Headers): Promise<string | undefined> =>
      (await readStream(await streamOf(client, 1, headers)).next())?.data
    expect(await after({})).toBe('a')
    expect(await after({ 'last-event-id': `${'0'.repeat(32)}.3` }), 'of another session').toBe('a')
    expect(await after({ 'last-event-id': 'nonsense' })).toBe('a')
    expect(await after({ 'last-event-id': `${session}.2` })).toBe('b')
  })

  test('a new stream, or a poll, takes the place of the old one; what the old one took is sent again', async () => {
    const client = await opened()
    const { link, session, clock } = client
    const first = readStream(await streamOf(client, 1))
    link.socket.send({ data: 'a' })
    await clock.settle()
    expect(await first.next()).toMatchObject({ data: 'a' })
    const second = readStream(await streamOf(client, 1))
    expect(await first.next()).toBeUndefined()
    expect(await second.next()).toMatchObject({ data: 'a', id: `${session}.2` })
    const { frames } = await (await client.poll(session, 1)).answer
    expect(frames).toEqual(['a'])
    expect(await second.next()).toBeUndefined()
  })

  test('after a silence a line is sent that means nothing', async () => {
    const client = await opened()
    const response = await streamOf(client, 1)
    expect(await rawText(response, '\n\n')).toMatch(/^retry: [12]\d{3}\n\n$/)
    await client.clock.advance(14_000)
    client.link.socket.send({ data: 'a' })
    await client.clock.advance(14_000)
    expect(await rawText(response, '\n\n'), 'a frame breaks the silence').toMatch(/^id: .*\ndata: a\n\n$/)
    await client.clock.advance(2_000)
    expect(await rawText(response, '\n\n')).toBe(':\n\n')
  })

  test('the end is an event, after the last frame', async () => {
    const client = await opened()
    const stream = readStream(await streamOf(client, 1))
    client.link.socket.send({ data: 'a' })
    client.link.socket.close(4440, 'revoked')
    await client.clock.settle()
    expect(await stream.next()).toMatchObject({ data: 'a' })
    expect(await stream.next()).toMatchObject({ event: 'close', data: '{"code":4440,"reason":"revoked"}' })
    expect(await stream.next()).toBeUndefined()
  })

  test('a stream that stands keeps the session, one that breaks ends it in time', async () => {
    const client = await opened({ sessionTimeout: 30_000 })
    const stream = readStream(await streamOf(client, 0))
    await client.clock.advance(100_000)
    expect(client.link.closings).toEqual([])
    await stream.next()
    await stream.leave()
    await client.clock.advance(31_000)
    expect([client.link.closings.length, client.clock.timers]).toEqual([1, 0])
  })

  test('pings are for the client, which can answer them; they are answered for one that has gone without', async () => {
    const client = await opened()
    const stream = readStream(await streamOf(client, 1))
    client.link.send({ type: 'ping' })
    await client.clock.settle()
    expect(await stream.next()).toMatchObject({ data: '{"type":"ping"}' })
    expect(client.link.received).toEqual(['hello'])
    await stream.leave()
    await settle()
    expect(client.link.received).toEqual(['hello', '{"type":"pong"}'])
  })

  test('a client that does not read is not read to: what waits is counted, and the end frees it', async () => {
    const client = await opened({ sessionTimeout: 30_000 })
    const { link } = client
    const response = await streamOf(client, 1)
    for (let i = 0; i < 20; i++) link.socket.send({ data: 'x'.repeat(50_000) })
    await client.clock.settle()
    expect(link.socket.bufferedAmount, 'what no system has taken').toBeGreaterThan(800_000)
    link.socket.close(4450, 'slow')
    await client.clock.advance(32_000)
    expect(client.clock.timers, 'timers').toBe(0)
    await expect(rawText(response, 'never')).rejects.toThrow('does not read')
  })

  test('of what was handed on, the newest is kept for a client that comes back', async () => {
    const client = await opened({}, { sendSoft: 1_000 })
    const { link, session, clock } = client
    const stream = readStream(await streamOf(client, 1))
    for (let i = 0; i < 10; i++) {
      link.socket.send({ data: `${i}`.repeat(300) })
      await clock.settle()
      await stream.next()
    }
    const near = readStream(await streamOf(client, 1, { 'last-event-id': `${session}.9` }))
    expect((await near.next())?.data).toMatch(/^8+$/)
    const far = await streamOf(client, 1, { 'last-event-id': `${session}.3` })
    expect([far.status, link.closings], 'the client has to begin anew').toEqual([404, []])
    link.socket.send({ data: 'to the one that is near' })
    await clock.settle()
    expect((await near.next())?.data, 'a request of long ago harms nobody').toMatch(/^9+$/)
    expect((await near.next())?.data).toBe('to the one that is near')
  })

  test('a client that acknowledges what it has lets the server forget it', async () => {
    const client = await opened()
    const { link, session, clock } = client
    const stream = readStream(await streamOf(client, 1))
    link.socket.send({ data: 'a' })
    await clock.settle()
    await stream.next()
    await client.frame(session, 1, 'x', { 'rtapi-cursor': '2' })
    expect((await (await client.poll(session, 1)).answer).head).toEqual({ session, from: 2, cursor: 2 })
  })

  test('a cursor that was never given is refused, and harms nothing', async () => {
    const client = await opened()
    expect((await streamOf(client, 7)).status).toBe(400)
    expect((await client.ask('GET', `/rt/stream?session=${client.session}&cursor=x`)).status).toBe(400)
    expect((await client.ask('GET', `/rt/stream?session=${'0'.repeat(32)}&cursor=0`)).status).toBe(404)
    expect((await streamOf(client, 1)).status).toBe(200)
  })
})

describe('a stream that a browser opens by itself', () => {
  const url = (...subscriptions: readonly object[]): string =>
    `/rt/stream?${subscriptions.map((one) => `subscribe=${encodeURIComponent(JSON.stringify(one))}`).join('&')}`

  async function openedStream(path: string, headers: Headers = {}) {
    const { asking, api, clock } = recorded()
    const held = await asking.send('GET', path, { headers })
    const link = await api.link(0)
    link.send(welcome)
    await clock.settle()
    const response = await held.response
    return { asking, api, clock, link, response, stream: readStream(response) }
  }

  test('says hello and subscribes to what stands in the query', async () => {
    const { link, stream } = await openedStream(url({ resource: 'notes' }, { resource: 'notes', key: 1, id: 'mine' }))
    expect(link.handshake.transport).toBe('event-stream')
    expect(JSON.parse(String(link.received[0]))).toEqual([
      { type: 'hello', versions: [1] },
      { type: 'subscribe', id: 's1', resource: 'notes' },
      { type: 'subscribe', id: 'mine', resource: 'notes', key: 1 },
    ])
    expect(await stream.next()).toMatchObject({ id: `${link.socket.id}.1`, data: JSON.stringify(welcome) })
  })

  test('goes on in the same session, and its pings are answered', async () => {
    const path = url({ resource: 'notes' })
    const { asking, api, link, stream } = await openedStream(path)
    await stream.next()
    await stream.leave()
    link.send({ type: 'ping' })
    link.socket.send({ data: 'missed' })
    const again = await asking.ask('GET', path, { headers: { 'last-event-id': `${link.socket.id}.1` } })
    expect(await readStream(again).next()).toMatchObject({ id: `${link.socket.id}.2`, data: 'missed' })
    expect([api.links.length, link.received[1]]).toEqual([1, '{"type":"pong"}'])
  })

  test.each([
    ['whose session is over', url({ resource: 'notes' }), true],
    ['with other subscriptions', url({ resource: 'others' }), false],
  ])('one %s opens a new session', async (_name, path, ends) => {
    const { asking, api, link, stream } = await openedStream(url({ resource: 'notes' }))
    await stream.next()
    await stream.leave()
    if (ends) await asking.clock.advance(31_000)
    await asking.send('GET', path, { headers: { 'last-event-id': `${link.socket.id}.1` } })
    expect(api.links.length).toBe(2)
  })

  test('credentials that are refused are an error, to which browsers do not come back', async () => {
    const { asking, api, clock } = recorded()
    const held = await asking.send('GET', url({ resource: 'notes' }))
    const link = await api.link(0)
    link.send({ type: 'goodbye', code: 4401, reason: 'no', again: false })
    link.socket.close(4401, 'no')
    await clock.settle()
    const response = await held.response
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect(clock.timers, 'nothing is left of it').toBe(0)
  })

  test('a browser that is refused for now is told when to come back, since it never comes back to an error', async () => {
    const { asking } = recorded({ maxSessions: 0 })
    const path = url({ resource: 'notes' })
    const response = await asking.ask('GET', path, { headers: { accept: 'text/event-stream' } })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    expect(await response.text()).toMatch(/^: The server has as many clients as it takes\.\nretry: [1-5]000\n\n$/)
    expect((await asking.ask('GET', path)).status, 'others can read a status').toBe(503)
    await asking.handler.close()
    const closed = await asking.ask('GET', path, { headers: { accept: 'text/event-stream' } })
    expect(await closed.text()).toContain('shutting down')
    const foreign = { accept: 'text/event-stream', origin: 'http://evil.example' }
    expect((await asking.ask('GET', path, { headers: foreign })).status, 'for ever').toBe(403)
  })

  test('a client that goes before it is welcomed leaves nothing behind', async () => {
    const { asking, api, clock } = recorded()
    const gone = new AbortController()
    const held = await asking.send('GET', url({ resource: 'notes' }), { signal: gone.signal })
    gone.abort()
    await clock.settle()
    expect((await held.response).status).toBe(503)
    expect(((await api.link(0)).closings.length, clock.timers)).toBe(0)
  })

  test.each([
    ['nothing to subscribe to', '/rt/stream'],
    ['no JSON', '/rt/stream?subscribe=x'],
    ['no object', '/rt/stream?subscribe=[]'],
    ['another type of message', url({ type: 'request', resource: 'notes', action: 'delete', key: 1 })],
    ['a token, which would end up in logs', '/rt/stream?token=secret&subscribe={}'],
    ['too deep', `/rt/stream?subscribe={"where":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ])('%s is refused', async (_name, path) => {
    const { asking, api } = recorded()
    const response = await asking.ask('GET', path)
    expect([response.status, api.links.length]).toEqual([400, 0])
  })

  test('a query above the limit of a frame is refused', async () => {
    const { asking } = recorded({}, { frame: 100 })
    const response = await asking.ask('GET', url({ resource: 'notes', where: { text: 'x'.repeat(100) } }))
    expect(response.status).toBe(413)
  })
})
