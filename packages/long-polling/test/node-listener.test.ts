import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { settle } from '@rtapi/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type NodeListenerOptions, type RequestContext, toNodeListener } from '../src/index.ts'
import { recorded } from './support/asking.ts'
import { type Listening, listen } from './support/listen.ts'
import { RawHttp } from './support/raw-http.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

type Handler = (request: Request, context: RequestContext) => Promise<Response>

/** Serves a handler; `before` is what a framework does to the request. */
async function serve(
  handler: Handler,
  options: NodeListenerOptions = {},
  before?: (incoming: IncomingMessage) => Promise<void>,
): Promise<Listening> {
  const listener = toNodeListener(handler, options)
  const server = await listen((incoming, outgoing) => {
    if (before === undefined) listener(incoming, outgoing)
    else void before(incoming).then(() => listener(incoming, outgoing))
  })
  onTestFinished(() => server.end())
  return server
}

/** A promise and what settles it. */
function signal<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}

const echo: Handler = async (request) => Response.json({ url: request.url, body: await request.text() })

describe('requests', () => {
  test('come with method, URL, headers, body and address', async () => {
    const seen = signal<readonly [Request, RequestContext]>()
    const { origin } = await serve(async (request, context) => {
      seen.resolve([request, context])
      return new Response(await request.text(), { status: 201, headers: { 'x-test': 'yes' } })
    })
    const response = await fetch(`${origin}/rt/poll?a=b`, { method: 'POST', body: 'ä', headers: { 'x-app': '1' } })
    expect([response.status, response.headers.get('x-test'), await response.text()]).toEqual([201, 'yes', 'ä'])
    const [request, context] = await seen.promise
    expect([request.method, request.url, request.headers.get('x-app')]).toEqual(['POST', `${origin}/rt/poll?a=b`, '1'])
    expect(context.remoteAddress).toMatch(/127\.0\.0\.1$/)
  })

  test.each([
    ['no host', 'GET / HTTP/1.0'],
    ['a host that is none', 'GET / HTTP/1.1', 'Host: a@b'],
    ['a whole URL', 'GET http://127.0.0.1/ HTTP/1.1', 'Host: 127.0.0.1'],
    ['no path', 'OPTIONS * HTTP/1.1', 'Host: 127.0.0.1'],
    ['a method that nobody may use', 'TRACE / HTTP/1.1', 'Host: 127.0.0.1'],
  ])('%s is answered 400, and the process lives', async (_name, ...head) => {
    const { port } = await serve(echo)
    const raw = await RawHttp.open(port)
    raw.head(...head, 'Connection: close')
    expect(await raw.untilClosed()).toMatch(/^HTTP\/1\.1 400 /)
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200)
  })

  test('a body is read no faster than it is asked for, and given up when it breaks', async () => {
    const failed = signal<unknown>()
    const { port } = await serve(async (request) => {
      await request.text().catch(failed.resolve)
      return new Response()
    })
    const raw = await RawHttp.open(port)
    raw.head('POST / HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 10')
    raw.socket.write('half')
    raw.socket.destroy()
    expect(String(await failed.promise)).toContain('torn')
  })

  test('a body that nobody reads does not stand before the next request', async () => {
    const { port } = await serve(async () => new Response('no', { status: 413 }))
    const raw = await RawHttp.open(port)
    raw.head('POST / HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 1000000')
    raw.socket.write('x'.repeat(1_000))
    expect(await raw.untilClosed()).toMatch(/^HTTP\/1\.1 413 [^]*connection: close/i)
  })

  test('a body that does not come in ten seconds is given up, and its connection with it', async () => {
    const { asking, clock } = recorded()
    const { port } = await serve(asking.handler)
    const raw = await RawHttp.open(port)
    raw.head('POST /rt HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 10')
    raw.socket.write('h')
    while (clock.timers === 0) await settle()
    await clock.advance(9_000)
    raw.socket.write('e')
    await settle()
    expect(raw.text).toBe('')
    await clock.advance(1_000)
    expect(await raw.untilClosed()).toMatch(/^HTTP\/1\.1 408 [^]*connection: close/i)
  })

  test('a body that is read half and then given up ends without harm', async () => {
    const { port } = await serve(async (request) => {
      const reader = request.body?.getReader()
      await reader?.read()
      await reader?.cancel()
      return new Response('enough')
    })
    const raw = await RawHttp.open(port)
    raw.head('POST / HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 8')
    raw.socket.write('half')
    await raw.until('enough')
    raw.socket.write('rest')
    expect(await raw.untilClosed()).toContain('connection: close')
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200)
  })
})

describe('bodies that were read before', () => {
  const withBody =
    (body: unknown) =>
    async (incoming: IncomingMessage): Promise<void> => {
      incoming.resume()
      await once(incoming, 'end')
      Object.assign(incoming, { body })
    }
  const json = { 'content-type': 'application/json' }

  test.each<[string, unknown, Readonly<Record<string, string>>, string | number]>([
    ['parsed', { a: 1 }, json, '{"a":1}'],
    ['parsed to an array', [{ a: 1 }], json, '[{"a":1}]'],
    ['parsed to null', null, json, 'null'],
    ['as text', '{"a": 1}', json, '{"a": 1}'],
    ['as bytes', Buffer.from('{"a": 1}'), json, '{"a": 1}'],
    ['as JSON of another kind', { a: 1 }, { 'content-type': 'application/problem+json' }, '{"a":1}'],
    ['as a form', { '{"a":1}': '' }, { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['as nobody knows what', undefined, json, 415],
  ])('%s', async (_name, body, headers, found) => {
    const { origin } = await serve(echo, {}, withBody(body))
    const response = await fetch(origin, { method: 'POST', body: '{"what":"was sent"}', headers })
    expect(response.ok ? ((await response.json()) as { body: string }).body : response.status).toBe(found)
  })

  test('nothing stays nothing, whatever a parser makes of it', async () => {
    const { origin } = await serve(echo, {}, withBody({}))
    const response = await fetch(origin, { method: 'POST' })
    expect(await response.json()).toMatchObject({ body: '' })
  })

  test('what is nested too deeply to be written again is refused, and the process lives', async () => {
    const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
    const { origin } = await serve(echo, {}, withBody(deep))
    expect((await fetch(origin, { method: 'POST', body: '[]', headers: json })).status).toBe(400)
  })
})

describe('answers', () => {
  test('a client that goes while it waits aborts its request', async () => {
    const asked = signal<undefined>()
    const gone = signal<undefined>()
    const { port } = await serve(
      (request) =>
        new Promise(() => {
          request.signal.addEventListener('abort', () => gone.resolve(undefined))
          asked.resolve(undefined)
        }),
    )
    const raw = await RawHttp.open(port)
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    await asked.promise
    raw.socket.destroy()
    await gone.promise
  })

  test('that is so also where only the signal of the request is still in use', async () => {
    const asked = signal<undefined>()
    const gone = signal<undefined>()
    const { port } = await serve(({ signal: left }) => {
      left.addEventListener('abort', () => gone.resolve(undefined))
      asked.resolve(undefined)
      return new Promise(() => undefined)
    })
    const raw = await RawHttp.open(port)
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    await asked.promise
    await settle()
    collectGarbage()
    await settle()
    collectGarbage()
    raw.socket.destroy()
    await gone.promise
  })

  test('a client that goes while it reads ends the body', async () => {
    const cancelled = signal<undefined>()
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('first')),
      cancel: () => cancelled.resolve(undefined),
    })
    const { port } = await serve(async () => new Response(body))
    const raw = await RawHttp.open(port)
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    await raw.until('first')
    raw.socket.destroy()
    await cancelled.promise
  })

  /** A body without end, and how much of it was taken. */
  function endless(): { readonly body: ReadableStream<Uint8Array>; readonly taken: () => number } {
    let taken = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          taken += 65_536
          controller.enqueue(new Uint8Array(65_536))
        },
      },
      { highWaterMark: 0 },
    )
    return { body, taken: () => taken }
  }

  test('no more is taken of a body than the client reads', async () => {
    const { body, taken } = endless()
    const { port } = await serve(async () => new Response(body))
    const raw = await RawHttp.open(port)
    raw.socket.pause()
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    let before = -1
    // What the system's own buffers take is not known; that it comes to an end is.
    for (let still = 0; still < 20; still = taken() === before && before > 0 ? still + 1 : 0) {
      before = taken()
      await settle()
      await settle()
    }
    expect(taken()).toBeLessThan(64 * 1_048_576)
    raw.socket.resume()
    while (taken() <= before) await settle()
  })

  test('a client that reads nothing for too long is left', async () => {
    const { body } = endless()
    const aborted = signal<undefined>()
    const { port } = await serve(
      async (request) => {
        request.signal.addEventListener('abort', () => aborted.resolve(undefined))
        return new Response(body)
      },
      { stallTimeout: 50 },
    )
    const raw = await RawHttp.open(port)
    raw.socket.pause()
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    await aborted.promise
  })

  test('a body that fails ends the connection, so that the answer does not look whole', async () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) })
    const { port } = await serve(async () => new Response(body))
    const raw = await RawHttp.open(port)
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    controller?.enqueue(new TextEncoder().encode('first'))
    await raw.until('first')
    controller?.error(new Error('failed'))
    expect(await raw.untilClosed()).not.toMatch(/0\r\n\r\n$/)
  })

  test('a handler that fails ends the connection, and the process lives', async () => {
    let fails = true
    const { port, origin } = await serve(async () => {
      if (fails) throw new Error('failed')
      return new Response('fine')
    })
    const raw = await RawHttp.open(port)
    raw.head('GET / HTTP/1.1', 'Host: 127.0.0.1')
    expect(await raw.untilClosed()).toBe('')
    fails = false
    expect(await (await fetch(origin)).text()).toBe('fine')
  })
})

test('HTTP/2 is served as well', async () => {
  const listener = toNodeListener(async (request, { remoteAddress }) =>
    Response.json({ url: request.url, body: await request.text(), remoteAddress }),
  )
  const server = createHttp2Server((incoming, outgoing) =>
    // The compatible classes of `node:http2` have all that the listener asks for.
    listener(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = connectHttp2(origin)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  const stream = client.request({ ':method': 'POST', ':path': '/rt?a=b' })
  stream.end('hello')
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  expect(JSON.parse(text)).toEqual({ url: `${origin}/rt?a=b`, body: 'hello', remoteAddress: '127.0.0.1' })
})
