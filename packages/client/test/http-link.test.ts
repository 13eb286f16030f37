import { describe, expect, test } from 'vitest'
import { type HttpTransportOptions, eventStreamTransport, longPollingTransport } from '../src/index.ts'
import { recordLink } from './support/recorded-link.ts'
import { ScriptedFetch, type ScriptedRequest, framesAnswer, refusal, settleFetch } from './support/scripted-fetch.ts'

function fetched(options: HttpTransportOptions = {}) {
  const server = new ScriptedFetch()
  return { server, transport: longPollingTransport({ fetch: server.fetch, ...options }), options }
}

/** A link whose session is open; its first poll waits. */
async function polling(options: HttpTransportOptions = {}) {
  const { server, transport } = fetched(options)
  const recorded = recordLink(transport)
  await settleFetch()
  recorded.link.send('hello')
  const opening = server.take()
  await opening.frames(0, 'welcome')
  return { server, ...recorded, recorded, opening, poll: server.take() }
}

async function streaming() {
  const server = new ScriptedFetch()
  const recorded = recordLink(eventStreamTransport({ fetch: server.fetch }))
  await settleFetch()
  recorded.link.send('hello')
  await server.take().frames(0, 'welcome')
  return { server, ...recorded, recorded, get: server.take() }
}

/** An answer of events that goes on for as long as the test wants. */
async function openStream(request: ScriptedRequest) {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const body = new ReadableStream<Uint8Array>({ start: (made) => void (controller = made) })
  await request.answer(new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }))
  return {
    async push(bytes: string | Uint8Array) {
      controller?.enqueue(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes)
      await settleFetch()
    },
    async cut() {
      controller?.error(new Error('cut'))
      await settleFetch()
    },
    async finish() {
      controller?.close()
      await settleFetch()
    },
  }
}

describe('opening', () => {
  test('the first frame opens the session, and a poll waits from then on', async () => {
    const { opening, poll, frames, recorded } = await polling()
    expect([opening.method, opening.path, opening.body]).toEqual(['POST', '/rt', 'hello'])
    expect(opening.headers.get('rtapi-open')).toMatch(/^[0-9a-f]{32}$/)
    expect(opening.init.cache).toBe('no-store')
    expect([poll.path, JSON.parse(poll.body)]).toEqual(['/rt/poll', { session: 'abc', cursor: 1 }])
    expect(poll.headers.get('rtapi-open')).toBe(opening.headers.get('rtapi-open'))
    expect([frames, recorded.opened]).toEqual([['welcome'], 1])
  })

  test('an answer that is lost is asked for once more under the same name, then the link is over', async () => {
    const { server, transport } = fetched()
    const { link, closes, clock } = recordLink(transport)
    await settleFetch()
    link.send('hello')
    const first = server.take()
    await first.fail()
    expect(closes).toEqual([])
    clock.advance(100)
    await settleFetch()
    const second = server.take()
    expect(second.headers.get('rtapi-open')).toBe(first.headers.get('rtapi-open'))
    await second.fail()
    expect(closes).toEqual([[1006, 'fetch failed', undefined]])
    expect(clock.timers).toBe(0)
  })

  test.each([
    ['403 of rtapi', refusal(403, 'foreign'), [4403, 'foreign', undefined]],
    ['401 of rtapi', refusal(401, 'who?'), [4401, 'who?', undefined]],
    ['503 of rtapi', refusal(503, 'full', { retryAfter: 3_000 }), [4452, 'full', 3_000]],
    ['429 of rtapi', refusal(429, 'fast', { headers: { 'retry-after': '2' } }), [4452, 'fast', 2_000]],
    ['500 of rtapi', refusal(500, 'failed'), [4500, 'failed', undefined]],
    ['404, where nothing is served', refusal(404, 'nothing here'), [1006, 'nothing here', undefined]],
    ['403 of a proxy', new Response('<p>no', { status: 403 }), [1006, 'HTTP status 403', undefined]],
    ['502 of a proxy', new Response('<p>no', { status: 502 }), [1006, 'HTTP status 502', undefined]],
    ['503 of a proxy', new Response('{}', { status: 503 }), [1006, 'HTTP status 503', undefined]],
  ])('%s ends the link as it says', async (_, response, close) => {
    const { server, transport } = fetched()
    const { link, closes, clock } = recordLink(transport)
    await settleFetch()
    link.send('hello')
    await server.take().answer(response)
    expect(closes).toEqual([close])
    expect([server.requests.length, clock.timers]).toEqual([0, 0])
  })

  test.each(['<html>', '{"session":"abc"}', ''])('a page of somebody else is no session: %j', async (body) => {
    const { server, transport } = fetched()
    const { link, closes, clock } = recordLink(transport)
    await settleFetch()
    link.send('hello')
    await server.take().answer(new Response(body))
    clock.advance(100)
    await settleFetch()
    await server.take().answer(new Response(body))
    expect(closes).toHaveLength(1)
    expect(closes[0]?.[0]).toBe(1006)
  })

  test('closed before it was open: nothing is called back, and nothing stays', async () => {
    const { server, transport } = fetched()
    const recorded = recordLink(transport)
    recorded.link.close(1000, '')
    await settleFetch()
    expect(recorded.opened).toBe(0)
    recorded.link.send('hello')
    expect(server.requests).toEqual([])
    const second = recordLink(transport)
    await settleFetch()
    second.link.send('hello')
    const opening = server.take()
    second.link.close(1000, '')
    expect(opening.aborted).toBe(true)
    await settleFetch()
    expect([second.closes, second.clock.timers, server.requests]).toEqual([[], 0, []])
  })

  test('an address that is none is an error at once', () => {
    expect(() => recordLink(longPollingTransport(), 'no address')).toThrow("url 'no address': expected")
  })

  test('it has an address of its own, or that of the client by HTTP', async () => {
    for (const [url, own, expected] of [
      ['wss://a.example/rt', undefined, 'https://a.example/rt'],
      ['ws://a.example:81/rt?x=1', undefined, 'http://a.example:81/rt?x=1'],
      ['wss://a.example/rt', 'https://b.example/poll', 'https://b.example/poll'],
    ] as const) {
      const asked: string[] = []
      const fetch = (to: string): Promise<Response> => {
        asked.push(to)
        return new Promise(() => undefined)
      }
      const { link } = recordLink(longPollingTransport({ fetch, ...(own === undefined ? {} : { url: own }) }), url)
      await settleFetch()
      link.send('hello')
      expect(asked).toEqual([expected])
    }
  })
})

describe('frames up', () => {
  test('go one after the other, numbered; what gathers meanwhile shares a request', async () => {
    const { server, link } = await polling()
    link.send('{"a":1}')
    const first = server.take()
    for (const frame of ['{"b":1}', '{"c":1}', '[{"d":1},{"e":1}]', '{"f":1}']) link.send(frame)
    expect([first.headers.get('rtapi-session'), first.headers.get('rtapi-sequence')]).toEqual(['abc', '1'])
    expect(server.requests).toEqual([])
    const bodies: string[] = []
    await first.frames(0)
    for (let i = 0; i < 3; i++) {
      const next = server.take()
      expect(next.headers.get('rtapi-sequence')).toBe(String(i + 2))
      bodies.push(next.body)
      await next.frames(0)
    }
    expect(bodies).toEqual(['[{"b":1},{"c":1}]', '[{"d":1},{"e":1}]', '{"f":1}'])
  })

  test('share no more than the server takes', async () => {
    const { server, link } = await polling()
    link.send('{}')
    for (let i = 0; i < 150; i++) link.send(`{"n":${i}}`)
    for (let i = 0; i < 3; i++) link.send(`{"long":"${'x'.repeat(10_000)}"}`)
    const sizes: number[] = []
    await server.take().frames(0)
    while (server.requests.length > 0) {
      const next = server.take()
      sizes.push(([JSON.parse(next.body)].flat() as unknown[]).length)
      await next.frames(0)
    }
    expect(sizes).toEqual([100, 51, 1, 1])
  })

  test('are repeated with the same number until they are answered', async () => {
    const { server, link, clock, closes } = await polling()
    link.send('{"a":1}')
    link.send('{"b":1}')
    for (const wait of [100, 200, 400]) {
      const request = server.take()
      expect([request.body, request.headers.get('rtapi-sequence')]).toEqual(['{"a":1}', '1'])
      if (wait === 200) await request.answer(new Response('torn'))
      else if (wait === 400) await request.answer(new Response('<p>', { status: 502 }))
      else await request.fail()
      clock.advance(wait - 1)
      expect(server.requests).toHaveLength(0)
      clock.advance(1)
      await settleFetch()
    }
    await server.take().frames(0)
    expect(server.take().body).toBe('{"b":1}')
    expect(closes).toEqual([])
  })

  test('that nobody answers are asked again, and in the end the link is over', async () => {
    const { server, link, clock, closes, poll } = await polling()
    link.send('{"a":1}')
    for (let i = 0; i < 7; i++) {
      const request = server.take()
      clock.advance(10_000)
      expect(request.aborted).toBe(true)
      await settleFetch()
      clock.advance(10_000)
      await settleFetch()
    }
    expect(closes).toHaveLength(1)
    expect([closes[0]?.[0], poll.aborted, clock.timers]).toEqual([1006, true, 0])
  })

  test.each([
    [refusal(404, 'no such session'), 1006],
    [refusal(413, 'too big'), 4413],
    [refusal(409, 'a gap'), 1006],
    [refusal(403, 'foreign'), 4403],
  ])('that are refused end the link (%#)', async (response, code) => {
    const { server, link, closes, poll, clock } = await polling()
    link.send('{"a":1}')
    link.send('{"b":1}')
    await server.take().answer(response)
    expect(closes.map(([each]) => each)).toEqual([code])
    expect([poll.aborted, server.requests.length, clock.timers]).toEqual([true, 0, 0])
  })

  test('carry the credentials of now, and the headers that the user wants', async () => {
    let at = 0
    const { server, link, poll, opening, recorded } = await polling({
      headers: () => ({ 'x-at': String(++at) }),
      credentials: 'include',
    })
    expect([opening.headers.get('authorization'), opening.headers.get('x-at')]).toEqual([null, '1'])
    expect([poll.init.credentials, poll.headers.get('authorization'), poll.headers.get('x-at')]).toEqual([
      'include',
      null,
      '2',
    ])
    recorded.token = 'second'
    link.send('{}')
    expect(server.take().headers.get('authorization')).toBe('Bearer second')
  })
})

describe('frames down by polls', () => {
  test('a poll waits at all times, and tells what has come', async () => {
    const { server, poll, frames } = await polling()
    await poll.frames(1, 'a', 'b')
    const second = server.take()
    expect(JSON.parse(second.body)).toEqual({ session: 'abc', cursor: 3 })
    await second.frames(3, 'c')
    expect(frames).toEqual(['welcome', 'a', 'b', 'c'])
    expect(server.requests).toHaveLength(1)
  })

  test('an answer that is lost or torn is asked for again; one that repeats frames brings them once', async () => {
    const { server, poll, frames, clock } = await polling()
    await poll.fail()
    clock.advance(100)
    await settleFetch()
    const again = server.take()
    expect(JSON.parse(again.body)).toEqual({ session: 'abc', cursor: 1 })
    const whole = await framesAnswer(1, ['a', 'b']).text()
    // Each way to cut it: none of its frames counts before it is whole.
    await again.answer(new Response(whole.slice(0, -1)))
    clock.advance(200)
    await settleFetch()
    await server.take().answer(new Response(whole.slice(0, whole.indexOf('b'))))
    clock.advance(400)
    await settleFetch()
    expect(frames).toEqual(['welcome'])
    await server.take().frames(1, 'a', 'b')
    await server.take().frames(0, 'welcome', 'a', 'b', 'c')
    expect(frames).toEqual(['welcome', 'a', 'b', 'c'])
  })

  test('an answer that leaves frames out ends the link, since they will not come', async () => {
    const { poll, frames, closes } = await polling()
    await poll.frames(5, 'f')
    expect([frames, closes]).toEqual([['welcome'], [[1006, 'a frame is missing', undefined]]])
  })

  test('the last answer says how the session has ended', async () => {
    const { server, poll, frames, closes, clock } = await polling()
    await poll.answer(framesAnswer(1, ['goodbye'], { code: 4440, reason: 'revoked' }))
    expect([frames, closes]).toEqual([['welcome', 'goodbye'], [[4440, 'revoked', undefined]]])
    expect([server.requests.length, clock.timers]).toEqual([0, 0])
  })

  test('a poll that is too many waits as long as the server wants', async () => {
    const { server, poll, clock } = await polling()
    await poll.answer(refusal(429, 'too fast', { headers: { 'retry-after': '1' } }))
    clock.advance(999)
    expect(server.requests).toHaveLength(0)
    clock.advance(1)
    await settleFetch()
    expect(server.take().path).toBe('/rt/poll')
  })

  test('something that answers without frames at once is not asked without end', async () => {
    const { server, poll, clock } = await polling()
    await poll.frames(1)
    await server.take().frames(1)
    for (const wait of [200, 400, 800, 1_600, 2_000, 2_000]) {
      clock.advance(wait - 1)
      await settleFetch()
      expect(server.requests).toHaveLength(0)
      clock.advance(1)
      await settleFetch()
      await server.take().frames(1)
    }
    // A server that waits is.
    clock.advance(2_000)
    await settleFetch()
    for (let i = 0; i < 4; i++) {
      const request = server.take()
      clock.advance(20_000)
      await request.frames(1)
    }
  })
})

describe('frames down by events', () => {
  test('a stream is read from where the opening ended, and again from where it was cut', async () => {
    const { server, get, frames, clock } = await streaming()
    expect([get.method, get.path, get.headers.get('accept')]).toEqual([
      'GET',
      '/rt/stream?session=abc&cursor=1',
      'text/event-stream',
    ])
    const stream = await openStream(get)
    await stream.push('retry: 700\n\n')
    const bytes = new TextEncoder().encode('id: abc.2\ndata: {"é":"😀"}\n\nid: abc.3\r\nda')
    for (const byte of bytes) await stream.push(Uint8Array.of(byte))
    expect(frames).toEqual(['welcome', '{"é":"😀"}'])
    await stream.cut()
    const again = server.take()
    expect(again.path).toBe('/rt/stream?session=abc&cursor=2')
    const second = await openStream(again)
    await second.push('id: abc.2\ndata: {"é":"😀"}\n\nid: abc.3\ndata: c\n\n')
    expect(frames).toEqual(['welcome', '{"é":"😀"}', 'c'])
    await second.finish()
    // One that brings nothing is not opened without end.
    for (let i = 0; i < 6; i++) {
      await (await openStream(server.take())).cut()
      expect(server.requests).toHaveLength(0)
      clock.advance(700)
      await settleFetch()
    }
  })

  test('one that is cut again and again without bringing anything ends the link', async () => {
    const { server, get, closes, clock } = await streaming()
    let request = get
    for (let i = 0; i < 5; i++) {
      await (await openStream(request)).cut()
      clock.advance(1_000)
      await settleFetch()
      request = server.take()
    }
    await (await openStream(request)).cut()
    expect(closes).toEqual([[1006, 'the stream is cut again and again', undefined]])
    expect(clock.timers).toBe(0)
  })

  test('the event of the end says how the session has ended', async () => {
    const { server, get, closes, clock } = await streaming()
    const stream = await openStream(get)
    await stream.push('event: close\ndata: {"code":4452,"reason":"draining"}\n\n')
    expect(closes).toEqual([[4452, 'draining', undefined]])
    expect([get.aborted, server.requests.length, clock.timers]).toEqual([true, 0, 0])
  })

  test('a page of somebody else is no stream', async () => {
    const { server, get, closes, clock } = await streaming()
    let request = get
    for (let i = 0; i < 6; i++) {
      await request.answer(new Response('<html>'))
      clock.advance(10_000)
      await settleFetch()
      request = server.take()
    }
    await request.answer(new Response('<html>'))
    expect(closes).toEqual([[1006, 'the answer is no stream of events', undefined]])
  })

  test('a stream that cannot go on ends the link', async () => {
    const { get, closes } = await streaming()
    await get.answer(refusal(404, 'There is no such session.'))
    expect(closes).toEqual([[1006, 'There is no such session.', undefined]])
  })

  test('a frame that is missing, or of another session, ends the link', async () => {
    for (const id of ['abc.3', 'xyz.2', '']) {
      const { get, closes } = await streaming()
      const stream = await openStream(get)
      await stream.push(`id: ${id}\ndata: x\n\n`)
      expect(closes).toEqual([[1006, 'a frame is missing', undefined]])
    }
  })
})

describe('close', () => {
  test('sends what was given before, leaves the session, and calls nothing back', async () => {
    const { server, link, poll, closes, frames, clock } = await polling()
    link.send('{"a":1}')
    link.send('{"b":1}')
    link.close(1000, '')
    link.close(1000, '')
    link.send('{"c":1}')
    expect(poll.aborted).toBe(true)
    await server.take().frames(1, 'late')
    const second = server.take()
    expect(second.body).toBe('{"b":1}')
    await second.frames(0)
    const leave = server.take()
    expect([leave.path, leave.body, leave.init.keepalive]).toEqual(['/rt/close', '{"session":"abc"}', true])
    await leave.fail()
    expect([server.requests.length, closes, frames, clock.timers]).toEqual([0, [], ['welcome'], 0])
  })

  test('does not repeat what is lost then', async () => {
    const { server, link, clock } = await polling()
    link.send('{"a":1}')
    link.send('{"b":1}')
    link.close(1000, '')
    await server.take().fail()
    expect(server.take().path).toBe('/rt/close')
    expect(clock.timers).toBe(0)
  })

  test('while something waits to be repeated', async () => {
    const { server, link, poll, clock } = await polling()
    await poll.fail()
    expect(clock.timers).toBe(1)
    link.close(1000, '')
    await settleFetch()
    expect([server.take().path, server.requests.length, clock.timers]).toEqual(['/rt/close', 0, 0])
  })

  test('ends a stream', async () => {
    const { link, get, server, closes, clock } = await streaming()
    const stream = await openStream(get)
    await stream.push('retry: 1000\n\n')
    link.close(1000, '')
    expect(get.aborted).toBe(true)
    await stream.cut()
    expect([server.take().path, server.requests.length, closes, clock.timers]).toEqual(['/rt/close', 0, [], 0])
  })
})
