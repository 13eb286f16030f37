import { createServer } from 'node:http'
import { defaultLimits } from '@rtapi/core'
import { fakeClock, recordingApi } from '@rtapi/testing'
import { Server, type ServerOptions } from 'socket.io'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type SocketIoTarget, serveSocketIo, socketIoOptions } from '../src/index.ts'
import { serve } from './harness.ts'
import { RawPolling, RawSocket, frame, opcodes, poll } from './raw-client.ts'

const api = recordingApi()
/** What Engine.IO takes by itself. */
const plainEngine: unknown = new Server(createServer()).engine.opts.wsEngine

describe('a server with these options', () => {
  test('says how much it takes, and takes the largest frame even if each character is quoted', async () => {
    const { port, api } = await serve({ api: { limits: { frame: 1_000 } } })
    const client = await RawSocket.join(port)
    expect(JSON.parse((await client.untilText('0')).slice(1))).toMatchObject({ maxPayload: 3_024 })
    const largest = '"'.repeat(1_000)
    client.text(`42${JSON.stringify(['rtapi', largest])}`)
    const link = await api.link(0)
    await link.untilReceived(1)
    expect(link.received).toEqual([largest])
  })

  test('closes a WebSocket with 1009 for a byte more than that, before it is read', async () => {
    const { port } = await serve({ api: { limits: { frame: 1_000 } } })
    for (const [size, code] of [
      [3_024, undefined],
      [3_025, 1009],
    ] as const) {
      const client = await RawSocket.join(port)
      // An event that nobody listens to.
      const text = `42["x","${'x'.repeat(size - 10)}"]`
      expect(text.length).toBe(size)
      client.text(text)
      client.write(frame({ opcode: opcodes.ping, payload: 'still there' }))
      if (code === undefined)
        await client.until('a pong', () => client.frames.find(({ opcode }) => opcode === opcodes.pong))
      else expect(await client.closeCode()).toBe(code)
    }
  })

  test('answers 413 to a post of a byte more, and ends the session of one that holds bytes', async () => {
    const { port } = await serve({ api: { limits: { frame: 1_000 } } })
    const session = await RawPolling.join(port)
    const text = (size: number): string => `42["x","${'x'.repeat(size - 10)}"]`.padEnd(size, ' ')
    expect((await session.post(text(3_024))).status).toBe(200)
    expect((await session.post(text(3_025))).status).toBe(413)
    const binary = await session.post(Buffer.from('4'), { 'Content-Type': 'application/octet-stream' })
    expect(binary.status).toBe(400)
    expect((await poll(port, { query: `&sid=${session.sid}` })).status).toBe(400)
  })

  test('closes a WebSocket with 1008 at the 65th fragment, and takes a message of 64', async () => {
    const { port, api } = await serve()
    const event = `42["rtapi","${'x'.repeat(64)}"]`
    const parts = (count: number): Buffer[] =>
      Array.from({ length: count }, (_, i) =>
        frame({
          fin: i === count - 1,
          opcode: i === 0 ? opcodes.text : opcodes.continuation,
          payload: i === count - 1 ? event.slice(i) : event.slice(i, i + 1),
        }),
      )
    const [right, wrong] = [await RawSocket.join(port), await RawSocket.join(port)]
    right.write(...parts(64))
    await (await api.link(0)).untilReceived(1)
    wrong.write(...parts(65))
    expect(await wrong.closeCode()).toBe(1008)
    expect(await (await api.link(1)).untilClosed()).toMatchObject({ code: 1006 })
    expect((await api.link(1)).received).toEqual([])
  })

  test('a flood of fragments that never ends is closed at the 65th; without these options it is not', async () => {
    const flood = [
      frame({ fin: false }),
      ...Array.from({ length: 200 }, () => frame({ fin: false, opcode: opcodes.continuation, payload: 'x' })),
    ]
    const plain = await serve({ io: { wsEngine: plainEngine } })
    expect(plain.api.reports.map(String)).toEqual([expect.stringContaining('64 fragments')])
    const ours = await serve()
    const [kept, closed] = [await RawSocket.join(plain.port), await RawSocket.join(ours.port)]
    closed.write(...flood)
    expect(await closed.closeCode()).toBe(1008)
    kept.write(...flood, frame({ opcode: opcodes.ping }))
    await kept.until('a pong', () => kept.frames.find(({ opcode }) => opcode === opcodes.pong))
    expect(kept.isOver).toBe(false)
  })

  test('never agrees to compression', async () => {
    const { port } = await serve()
    const { head } = await RawSocket.open(port, { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    expect(head.toLowerCase()).not.toContain('sec-websocket-extensions')
  })

  test('closes a connection that has joined no namespace in time', async () => {
    const { port } = await serve({ api: { limits: { helloTimeout: 20 } } })
    const client = await RawSocket.open(port)
    expect(await client.closeCode()).toBe(1005)
  })

  test('answers pings, and closes with 1008 at one more than the burst within ten seconds', async () => {
    const clock = fakeClock()
    const { port } = await serve({ api: { limits: { burst: 5 }, clock } })
    const client = await RawSocket.open(port)
    const pongs = (): number => client.frames.filter(({ opcode }) => opcode === opcodes.pong).length
    const ping = frame({ opcode: opcodes.ping, payload: 'a' })
    client.write(...Array.from({ length: 5 }, () => ping))
    await client.until('five pongs', () => (pongs() === 5 ? true : undefined))
    await clock.advance(10_001)
    client.write(...Array.from({ length: 4 }, () => frame({ opcode: opcodes.pong })), ping)
    await client.until('one more', () => (pongs() === 6 ? true : undefined))
    client.write(ping)
    expect(await client.closeCode()).toBe(1008)
    expect(pongs()).toBe(6)
  })

  test('pings of a client that does not read do not pile up', async () => {
    const { port, api, io } = await serve({ api: { limits: { burst: 1_000_000 } } })
    const client = await RawSocket.join(port)
    const { socket } = await api.link(0)
    client.raw.pause()
    const data = 'x'.repeat(1_048_576)
    while (socket.bufferedAmount < 1_048_576) {
      socket.send({ data })
      await new Promise((resolve) => setImmediate(resolve))
    }
    const before = socket.bufferedAmount
    client.write(...Array.from({ length: 1_000 }, () => frame({ opcode: opcodes.ping })))
    client.text('42["rtapi","after the pings"]')
    await (await api.link(0)).untilReceived(1)
    expect(socket.bufferedAmount).toBeLessThanOrEqual(before)
    expect(io.engine.clientsCount).toBe(1)
  })
})

describe('a server without them', () => {
  function reportsOf(options: Partial<ServerOptions>, pick = (io: Server): SocketIoTarget => io): readonly string[] {
    const api = recordingApi()
    const http = createServer()
    const io = new Server(http, options)
    onTestFinished(() => io.close())
    serveSocketIo(api, pick(io))
    return api.reports.map(String)
  }

  test('is reported once, with all that is wrong and what would be right', () => {
    const [report = '', ...more] = reportsOf({ perMessageDeflate: true })
    expect(more).toEqual([])
    for (const part of [
      'maxHttpBufferSize is 1000000, where 132096 is enough',
      'wsEngine does not keep a message to 64 fragments',
      'perMessageDeflate costs memory',
      'connectTimeout is 45000, where 10000 is enough',
      'socketIoOptions(api)',
    ])
      expect(report).toContain(part)
  })

  test('is reported for a namespace of it too', () => {
    expect(reportsOf({}, (io) => io.of('/rt'))).toEqual([expect.stringContaining('maxHttpBufferSize')])
  })

  test.each<[string, Partial<ServerOptions>, string]>([
    ['a larger buffer', { maxHttpBufferSize: 132_097 }, 'maxHttpBufferSize is 132097'],
    ['another engine', { wsEngine: plainEngine }, 'wsEngine'],
    ['compression', { perMessageDeflate: { threshold: 1 } }, 'perMessageDeflate'],
    ['patience', { connectTimeout: 10_001 }, 'connectTimeout is 10001'],
  ])('is reported for %s', (_name, options, part) => {
    const [report = ''] = reportsOf({ ...socketIoOptions(api), transports: ['polling', 'websocket'], ...options })
    expect(report).toContain(part)
    expect(report).not.toContain(';')
  })

  test('is not reported for what it cannot do', () => {
    expect(reportsOf({ ...socketIoOptions(api), wsEngine: plainEngine, transports: ['polling'] })).toEqual([])
    expect(reportsOf({ ...socketIoOptions(api), maxHttpBufferSize: 1_000 })).toEqual([])
  })
})

test('the options are those of the API, and share nothing with other servers', () => {
  const options = socketIoOptions(recordingApi({ limits: { frame: 10, helloTimeout: 7 } }))
  expect(options).toMatchObject({ maxHttpBufferSize: 1_044, perMessageDeflate: false, connectTimeout: 7 })
  expect(socketIoOptions(api).maxHttpBufferSize).toBe(2 * defaultLimits.frame + 1_024)
  expect(socketIoOptions(api).wsEngine).not.toBe(options.wsEngine)
})
