import { createServer } from 'node:http'
import { type Codec, jsonCodec } from '@rtapi/core'
import { describe, expect, test } from 'vitest'
import { serveWebSocket } from '../src/index.ts'
import { FakeApi } from './fake-api.ts'
import { listen, serve } from './harness.ts'
import { type Headers, RawClient } from './raw-client.ts'

const other: Codec = { ...jsonCodec, name: 'other' }

describe('RFC 6455, 4.2.1: a handshake that is none', () => {
  test.each<[string, Headers, number]>([
    ['no key', { 'Sec-WebSocket-Key': null }, 400],
    ['a key that is too short', { 'Sec-WebSocket-Key': 'c2hvcnQ=' }, 400],
    ['a key that is not base64', { 'Sec-WebSocket-Key': '!'.repeat(22) + '==' }, 400],
    ['no version', { 'Sec-WebSocket-Version': null }, 426],
    ['an old version', { 'Sec-WebSocket-Version': '8' }, 426],
    ['a version to come', { 'Sec-WebSocket-Version': '14' }, 426],
    ['another upgrade', { Upgrade: 'h2c' }, 400],
    ['a subprotocol list that is none', { 'Sec-WebSocket-Protocol': 'rtapi.v1.json,,' }, 400],
    ['a subprotocol twice', { 'Sec-WebSocket-Protocol': 'rtapi.v1.json, rtapi.v1.json' }, 400],
    ['65 headers', Object.fromEntries(Array.from({ length: 59 }, (_, i) => [`X-${i}`, '1'])), 431],
    ['8 KiB of headers', { 'X-Long': 'x'.repeat(8_192) }, 431],
    ['a subprotocol of 8 KiB', { 'Sec-WebSocket-Protocol': 'x'.repeat(8_192) }, 431],
  ])('%s', async (_name, headers, status) => {
    const { port, api } = await serve()
    const client = await RawClient.open(port, headers)
    expect(client.answer.status).toBe(status)
    await client.ended
    expect(api.clients.length).toBe(0)
  })

  test('64 headers are none too many', async () => {
    const more = Object.fromEntries(Array.from({ length: 58 }, (_, i) => [`X-${i}`, '1']))
    expect((await RawClient.open((await serve()).port, more)).answer.status).toBe(101)
  })

  test('the method POST', async () => {
    const client = await RawClient.open((await serve()).port, {}, 'POST /rt HTTP/1.1')
    expect(client.answer.status).toBe(405)
  })

  test('the answer to a wrong version names the right one', async () => {
    const { answer } = await RawClient.open((await serve()).port, { 'Sec-WebSocket-Version': '99' })
    expect(answer.headers['sec-websocket-version']).toBe('13')
  })
})

describe('RFC 6455, 4.2.2: the answer', () => {
  test('carries the proof of the key, the subprotocol and no extension', async () => {
    const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }
    const { answer } = await RawClient.open((await serve()).port, offer)
    expect(answer.status).toBe(101)
    expect(answer.headers).toMatchObject({
      'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'sec-websocket-protocol': 'rtapi.v1.json',
    })
    expect(answer.headers).not.toHaveProperty('sec-websocket-extensions')
  })

  test.each<[string, string | null, number, string | undefined]>([
    ['the only one', 'rtapi.v1.other', 101, 'rtapi.v1.other'],
    ['the one that the client likes best', 'rtapi.v1.other, rtapi.v1.json', 101, 'rtapi.v1.other'],
    ['the known one among others', 'graphql-ws,rtapi.v2.json , rtapi.v1.json', 101, 'rtapi.v1.json'],
    ['none for a client that offers none, which speaks JSON', null, 101, undefined],
    ['a refusal if it has none of them', 'graphql-ws, rtapi.v2.json', 400, undefined],
    ['a refusal for other letter case', 'RTAPI.v1.json', 400, undefined],
  ])('the subprotocol is %s', async (_name, offer, status, chosen) => {
    const { port, api } = await serve({}, new FakeApi({ codecs: [jsonCodec, other] }))
    const { answer } = await RawClient.open(port, { 'Sec-WebSocket-Protocol': offer })
    expect(answer.status).toBe(status)
    expect(answer.headers['sec-websocket-protocol']).toBe(chosen)
    if (status === 400) expect(answer.body).toContain('rtapi.v1.json, rtapi.v1.other')
    else expect((await api.clients.next()).codec.name).toBe(chosen === 'rtapi.v1.other' ? 'other' : 'json')
  })
})

describe('paths', () => {
  test.each<[string, number]>([
    ['/rt', 101],
    ['/rt?token=x', 101],
    ['/rt/', 404],
    ['/RT', 404],
    ['/rt/x', 404],
    ['//rt', 404],
    ['/', 404],
  ])('%s → %i', async (path, status) => {
    const client = await RawClient.open((await serve()).port, {}, `GET ${path} HTTP/1.1`)
    expect(client.answer.status).toBe(status)
  })

  test('two APIs on one server, and neither answers for the other', async () => {
    const server = createServer()
    const apis = { '/a': new FakeApi(), '/b': new FakeApi() }
    for (const [path, api] of Object.entries(apis)) serveWebSocket(api, server, { path })
    const port = await listen(server)
    for (const [path, api] of Object.entries(apis)) {
      expect((await RawClient.open(port, {}, `GET ${path} HTTP/1.1`)).answer.status).toBe(101)
      expect((await api.clients.next()).handshake.url).toBe(path)
    }
    expect((await RawClient.open(port, {}, 'GET /c HTTP/1.1')).answer.status).toBe(404)
    expect(apis['/a'].clients.length + apis['/b'].clients.length).toBe(0)
  })

  test('a path that is served already is an error', async () => {
    const { server, api } = await serve()
    expect(() => serveWebSocket(api, server)).toThrow('/rt is already served')
  })

  test("an unknown path is left to the server's other listeners", async () => {
    const { server, port } = await serve()
    server.on('upgrade', (request, socket) => {
      if (request.url === '/dev') socket.end('HTTP/1.1 418 Mine\r\n\r\n')
    })
    expect((await RawClient.open(port, {}, 'GET /dev HTTP/1.1')).answer.status).toBe(418)
    expect((await RawClient.open(port)).answer.status).toBe(101)
  })
})

describe('what the API is told', () => {
  test('url, address and the headers that say something about the client', async () => {
    const { open } = await serve({ origins: 'any' })
    const { accepted } = await open({ Cookie: 'a=1', 'X-Twice': ['1', '2'], 'Accept-Encoding': 'gzip' })
    const { transport, url, headers, remoteAddress } = accepted.handshake
    expect({ transport, url, remoteAddress }).toEqual({ transport: 'ws', url: '/rt', remoteAddress: '127.0.0.1' })
    expect(headers).toEqual({ host: expect.stringMatching(/^127/) as string, cookie: 'a=1', 'x-twice': '1, 2' })
  })

  test('of several cookie headers, all', async () => {
    const { accepted } = await (await serve({ origins: 'any' })).open({ Cookie: ['a=1', 'b=2'] })
    expect(accepted.handshake.headers['cookie']).toBe('a=1; b=2')
  })

  test.each([
    [false, '127.0.0.1'],
    [true, '203.0.113.9'],
  ])('the address, with trustProxy %s', async (trustProxy, address) => {
    const forwarded = { 'X-Forwarded-For': '198.51.100.1, 203.0.113.9' }
    const { accepted } = await (await serve({ trustProxy })).open(forwarded)
    expect(accepted.handshake.remoteAddress).toBe(address)
  })
})
