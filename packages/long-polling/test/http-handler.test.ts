import { bytesCodec } from './support/bytes-codec.ts'
import { type Api, jsonCodec } from '@rtapi/core'
import { fakeClock, recordingApi } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'
import { httpHandler } from '../src/index.ts'
import { Asking, opened, recorded } from './support/asking.ts'

const hello = { body: 'hello' }

describe('paths and methods', () => {
  test.each([
    ['GET', '/rt', 405, 'POST'],
    ['HEAD', '/rt', 405, 'POST'],
    ['PUT', '/rt', 405, 'POST'],
    ['GET', '/rt/poll', 405, 'POST'],
    ['GET', '/rt/close', 405, 'POST'],
    ['POST', '/rt/stream', 405, 'GET'],
    ['GET', '/rt/notes/list', 405, 'POST'],
    ['DELETE', '/rt/notes/delete/1', 405, 'POST'],
    ['POST', '/rt/notes', 404, null],
    ['POST', '/', 404, null],
    ['POST', '/rtx', 404, null],
    ['POST', '/rt2/poll', 404, null],
    ['POST', '/rt/../rt/x', 404, null],
    ['POST', '/rt/%zz/list', 400, null],
  ])('%s %s is answered %i', async (method, path, status, allow) => {
    const { asking, api } = recorded()
    const response = await asking.ask(method, path)
    expect([response.status, response.headers.get('allow')]).toEqual([status, allow])
    expect(api.links.length).toBe(0)
    if (method === 'HEAD') return
    expect(await response.json()).toMatchObject({ type: 'reply', ok: false, error: { retryable: false } })
  })

  test.each([
    ['/api/v1/live', '/api/v1/live'],
    ['/api/', '/api'],
    ['/', '/'],
  ])('the endpoint may stand at %s', async (path, url) => {
    const { asking, api } = recorded({ path })
    await asking.send('POST', url, hello)
    expect(api.links.length).toBe(1)
    expect((await asking.ask('POST', `${url.replace(/\/$/, '')}/poll`, { body: '{}' })).status).toBe(400)
  })
})

test('nothing may be kept, or taken for something else', async () => {
  const client = await opened()
  const answers = await Promise.all([
    client.ask('POST', '/rt/poll', { body: JSON.stringify({ session: client.session, cursor: 0 }) }),
    client.ask('GET', `/rt/stream?session=${client.session}`),
    client.ask('GET', '/rt/poll'),
    client.ask('POST', '/nowhere'),
    client.ask('OPTIONS', '/rt'),
    client.ask('POST', '/rt/close', { body: JSON.stringify({ session: client.session }) }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 405, 404, 204, 200])
  for (const { headers } of answers) {
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('vary')).toContain('Origin')
    if (headers.has('content-type')) expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
})

describe('how many clients there may be', () => {
  test('sessions are counted until they end, of each address and in all', async () => {
    const { api, asking, clock } = recorded({ maxSessions: 2, maxSessionsPerAddress: 1 })
    const elsewhere = new Asking(asking.handler, clock, '203.0.113.2')
    await asking.send('POST', '/rt', hello)
    const refused = await asking.ask('POST', '/rt', hello)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await refused.json()).toMatchObject({ error: { code: 'unavailable', retryable: true } })
    await elsewhere.send('POST', '/rt', hello)
    expect((await new Asking(asking.handler, clock, '203.0.113.3').ask('POST', '/rt', hello)).status).toBe(503)
    expect(api.links.length).toBe(2)
    api.links[0]?.socket.close(4440, 'revoked')
    await asking.send('POST', '/rt', hello)
    expect(api.links.length).toBe(3)
  })

  test('actions without a session count while they last', async () => {
    const { asking, api } = recorded({ maxSessions: 1 })
    const gone = new AbortController()
    const held = await asking.send('POST', '/rt/notes/list', { signal: gone.signal })
    expect((await asking.ask('POST', '/rt/notes/list')).status).toBe(503)
    gone.abort()
    expect((await held.response).status).toBe(503)
    expect((await api.link(0)).closings).toEqual([{ code: 1001, reason: 'client gone' }])
    await asking.send('POST', '/rt/notes/list')
    expect(api.links.length).toBe(2)
  })

  test('only so many come each second', async () => {
    const { asking, clock } = recorded({ acceptRate: 2 })
    const come = async (): Promise<boolean> => (await asking.send('POST', '/rt')).response.then(({ ok }) => ok)
    expect([await come(), await come(), await come()]).toEqual([true, true, false])
    await clock.advance(500)
    expect([await come(), await come()]).toEqual([true, false])
  })

  test('bodies that are on their way are counted too, whatever they are for', async () => {
    const { asking, clock } = recorded({ maxSessionsPerAddress: 2 })
    const slow = () => ({ body: new ReadableStream<Uint8Array>(), duplex: 'half' as const })
    const held = [await asking.send('POST', '/rt/poll', slow()), await asking.send('POST', '/rt/poll', slow())]
    expect(held.map(({ isHeld }) => isHeld)).toEqual([true, true])
    expect((await asking.ask('POST', '/rt/poll', { body: '{}' })).status).toBe(503)
    await clock.advance(10_000)
    expect(await Promise.all(held.map(async ({ response }) => (await response).status))).toEqual([408, 408])
    expect((await asking.ask('POST', '/rt/poll', { body: '{}' })).status).toBe(400)
    expect(clock.timers).toBe(0)
  })

  test('an address is believed that a trusted proxy names, and no other', async () => {
    const from = (address: string): RequestInit => ({ ...hello, headers: { 'x-forwarded-for': address } })
    const trusting = recorded({ maxSessionsPerAddress: 1, trustProxy: true })
    await trusting.asking.send('POST', '/rt', from('198.51.100.1'))
    expect((await trusting.asking.ask('POST', '/rt', from('spoofed, 198.51.100.1'))).status).toBe(503)
    await trusting.asking.send('POST', '/rt', from('198.51.100.2'))
    expect(trusting.api.links.map(({ handshake }) => handshake.remoteAddress)).toEqual(['198.51.100.1', '198.51.100.2'])
    const other = recorded({ maxSessionsPerAddress: 1 })
    await other.asking.send('POST', '/rt', from('198.51.100.1'))
    expect((await other.asking.ask('POST', '/rt', from('198.51.100.2'))).status).toBe(503)
  })
})

test('the API is told of the client, but of no token in a URL', async () => {
  const { asking, api } = recorded()
  const headers = { authorization: 'Bearer secret', 'x-app': 'yes', 'rtapi-open': '0123456789abcdef' }
  await asking.send('POST', '/rt?token=other', { ...hello, headers })
  const { handshake } = await api.link(0)
  expect(handshake).toMatchObject({
    transport: 'long-polling',
    url: '/rt?token=other',
    remoteAddress: '203.0.113.1',
    token: 'secret',
    headers: { 'x-app': 'yes', authorization: 'Bearer secret' },
  })
  expect(Object.keys(handshake.headers)).not.toContain('rtapi-open')
  await asking.send('POST', '/rt?token=other', hello)
  expect((await api.link(1)).handshake.token).toBeUndefined()
})

test('what goes wrong inside is reported, and told to nobody', async () => {
  const clock = fakeClock()
  const recording = recordingApi({ clock })
  const api: Api = {
    ...recording,
    accept() {
      throw new Error('secret')
    },
  }
  const response = await new Asking(httpHandler(api), clock).ask('POST', '/rt', hello)
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain('secret')
  expect(recording.reports.map(String)).toEqual(['Error: secret'])
})

test('an API that has no JSON, or one that is no text, cannot be served', () => {
  expect(() => httpHandler(recordingApi({ codecs: [bytesCodec('bytes')] }))).toThrow(/codec/)
  expect(() => httpHandler(recordingApi({ codecs: [bytesCodec('json')] }))).toThrow(/codec/)
  expect(() => httpHandler(recordingApi({ codecs: [bytesCodec('bytes'), jsonCodec] }))).not.toThrow()
  expect(() => httpHandler(recordingApi(), { origins: ['app.example'] })).toThrow(/origins/)
})
