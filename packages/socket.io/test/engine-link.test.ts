import { once } from 'node:events'
import { type Socket as RawConnection, connect as connectTcp } from 'node:net'
import type { TransportSocket } from '@rtapi/core'
import { seededRandom, settle } from '@rtapi/testing'
import type { Socket } from 'socket.io'
import { io as connectTo } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bytesCodec, connect } from './client.ts'
import { type Served, serve, until } from './harness.ts'
import { RawPolling, RawSocket, opcodes } from './raw-client.ts'

const MEGABYTE = 1_048_576

/** The application's own end of the only socket there is. */
function applicationSocket({ io }: Served): Socket {
  const [socket] = io.of('/').sockets.values()
  return socket ?? expect.fail('there is no socket')
}

/** Sends until the system takes no more. */
async function fill(socket: TransportSocket, least = MEGABYTE): Promise<number> {
  const data = 'x'.repeat(MEGABYTE)
  for (let sent = 1; sent <= 64; sent++) {
    socket.send({ data })
    await settle()
    if (socket.bufferedAmount > least) return sent
  }
  throw new Error('64 MB were taken by nobody who reads')
}

/** What the application emits between the frames comes between them. */
function interleave(frames: TransportSocket, application: Socket, start: number): readonly string[] {
  const wanted = []
  for (let i = start; i < start + 20; i++) {
    frames.send({ data: `frame ${i}` })
    frames.send({ data: `another ${i}` })
    application.emit('note', i)
    wanted.push(`42["rtapi","frame ${i}"]`, `42["rtapi","another ${i}"]`, `42["note",${i}]`)
  }
  return wanted
}

describe('frames and what the application emits itself come in the order in which they were sent', () => {
  test('over a WebSocket, also one that does not read for a while', async () => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    const { socket } = await served.api.link(0)
    const wanted = interleave(socket, applicationSocket(served), 0)
    await client.until('all', () => (client.texts.length >= wanted.length + 2 ? true : undefined))
    expect(client.texts.slice(2)).toEqual(wanted)

    client.raw.pause()
    const filler = await fill(socket)
    const more = interleave(socket, applicationSocket(served), 20)
    client.raw.resume()
    await client.until('the rest', () => (client.texts.at(-1) === more.at(-1) ? true : undefined))
    expect(client.texts.slice(2 + wanted.length + filler)).toEqual(more)
    await until('room', () => socket.bufferedAmount === 0)
  })

  test('over polling, whether a poll waits or not', async () => {
    const served = await serve()
    const session = await RawPolling.join(served.port)
    const { socket } = await served.api.link(0)
    const application = applicationSocket(served)
    const wanted = interleave(socket, application, 0)
    const received: string[] = []
    while (received.length < wanted.length) received.push(...(await session.get()))
    expect(received).toEqual(wanted)

    const waiting = session.get()
    await until('the poll', () => application.conn.transport.writable)
    const more = interleave(socket, application, 20)
    const rest = [...(await waiting)]
    while (rest.length < more.length) rest.push(...(await session.get()))
    expect(rest).toEqual(more)
    expect(socket.bufferedAmount).toBe(0)
  })

  test('the packet that ends a socket comes last, whoever sends it', async () => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    const { socket } = await served.api.link(0)
    socket.send({ data: 'last words' })
    applicationSocket(served).disconnect()
    await client.untilText('41')
    expect(client.texts.slice(2)).toEqual(['42["rtapi","last words"]', '41'])
  })
})

test('frames of one tick are one write, and sockets that got the same are given one buffer', async () => {
  const served = await serve()
  const buffers: unknown[] = []
  served.http.on('connection', (socket: RawConnection) => {
    const write = socket.write.bind(socket)
    socket.write = (chunk: string | Uint8Array, ...rest: never[]): boolean => {
      buffers.push(chunk)
      return write(chunk, ...rest)
    }
  })
  const clients = [await RawSocket.join(served.port), await RawSocket.join(served.port)]
  const links = [await served.api.link(0), await served.api.link(1)]
  buffers.length = 0
  for (const data of ['a', 'b']) {
    const frame = { data }
    for (const { socket } of links) socket.send(frame)
  }
  expect(links.map(({ socket }) => socket.bufferedAmount)).toEqual([34, 34])
  for (const client of clients) await client.untilText('42["rtapi","b"]')
  expect(buffers).toHaveLength(2)
  expect(buffers[0]).toBe(buffers[1])
  expect(links.map(({ socket }) => socket.bufferedAmount)).toEqual([0, 0])
})

test('a frame to a thousand sockets is encoded once, and what the application emits beside it changes that not', async () => {
  const served = await serve({ acceptRate: Infinity })
  const { encoder } = served.io
  const encode = encoder.encode.bind(encoder)
  let frames = 0
  encoder.encode = (packet): ReturnType<typeof encode> => {
    if (Array.isArray(packet.data) && packet.data[0] === 'rtapi') frames++
    return encode(packet)
  }
  const clients: RawSocket[] = []
  for (let i = 0; i < 1_000; i += 100)
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => RawSocket.join(served.port)))))
  const { links } = served.api
  expect(links).toHaveLength(1_000)
  for (let i = 0; i < 5; i++) {
    const frame = { data: `frame ${i}` }
    for (const { socket } of links) socket.send(frame)
    served.io.emit('note', i)
    await settle()
  }
  await Promise.all(clients.map((client) => client.untilText('42["note",4]')))
  expect(frames).toBe(5)
  const wanted = Array.from({ length: 5 }, (_, i) => [`42["rtapi","frame ${i}"]`, `42["note",${i}]`]).flat()
  for (const client of clients) expect(client.texts.slice(2)).toEqual(wanted)
})

describe('bytes', () => {
  test('come in one write, in order with their events', async () => {
    const { port, api } = await serve({ api: { codecs: [bytesCodec] } })
    const client = await RawSocket.join(port)
    const { socket } = await api.link(0)
    for (const data of ['one', 'two']) socket.send({ data: Buffer.from(data) })
    await client.until('four frames', () => (client.frames.length >= 6 ? true : undefined))
    const event = '451-["rtapi",{"_placeholder":true,"num":0}]'
    expect(client.frames.slice(2).map(({ opcode, payload }) => [opcode, payload.toString()])).toEqual([
      [opcodes.text, event],
      [opcodes.binary, 'one'],
      [opcodes.text, event],
      [opcodes.binary, 'two'],
    ])
  })

  test('come as base64 to a poll', async () => {
    const { port, api } = await serve({ api: { codecs: [bytesCodec] } })
    const session = await RawPolling.join(port)
    const { socket } = await api.link(0)
    socket.send({ data: Buffer.from('one') })
    expect(await session.get()).toEqual(['451-["rtapi",{"_placeholder":true,"num":0}]', 'bb25l'])
  })
})

test('a client of the old protocol gets its frames too, where the server lets it in', async () => {
  const served = await serve({ io: { allowEIO3: true }, api: { codecs: [bytesCodec] } })
  const client = await RawSocket.open(served.port, {}, '&EIO=3')
  // It joins the main namespace by connecting.
  const { socket } = await served.api.link(0)
  for (const data of ['one', 'two']) socket.send({ data: Buffer.from(data) })
  await client.until('two times bytes', () =>
    client.frames.filter(({ opcode }) => opcode === opcodes.binary).length === 2 ? true : undefined,
  )
  expect(
    client.frames.filter(({ opcode }) => opcode === opcodes.binary).map(({ payload }) => payload.toString()),
  ).toEqual(['\u0004one', '\u0004two'])
  await until('room', () => socket.bufferedAmount === 0)
})

describe('a client that does not read', () => {
  test('is seen in bufferedAmount over a WebSocket, and drained tells when it reads again', async () => {
    const { port, api } = await serve()
    const [slow, quick] = [await RawSocket.join(port), await RawSocket.join(port)]
    const [link, other] = [await api.link(0), await api.link(1)]
    slow.raw.pause()
    await fill(link.socket)
    expect(link.drains).toBe(0)
    other.socket.send({ data: 'for another' })
    await quick.untilText('42["rtapi","for another"]')
    slow.raw.resume()
    await link.untilDrained()
    expect(link.socket.bufferedAmount).toBe(0)
  })

  test('of its polls, and opens one after the other, is seen in bufferedAmount', async () => {
    const { port, api, http } = await serve()
    const { sid } = await RawPolling.join(port)
    const link = await api.link(0)
    const data = 'x'.repeat(8 * MEGABYTE)
    const polls: RawConnection[] = []
    onTestFinished(() => {
      for (const poll of polls) poll.destroy()
    })
    for (let i = 1; i <= 3; i++) {
      link.socket.send({ data })
      const poll = connectTcp({ port, host: '127.0.0.1' })
      polls.push(poll.pause())
      poll.write(`GET /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      await once(http, 'request')
      await settle()
      expect(link.socket.bufferedAmount).toBeGreaterThanOrEqual(i * 8 * MEGABYTE)
    }
    expect(link.drains).toBe(0)
    polls[0]?.destroy()
    await until('what was for the torn poll to be let go', () => link.socket.bufferedAmount < 20 * MEGABYTE)
    for (const poll of polls) poll.resume()
    await link.untilDrained()
    expect(link.socket.bufferedAmount).toBe(0)
  })
})

describe('a client that goes from polling to a WebSocket while frames flow loses, repeats and reorders nothing', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8].map((seed) => [seed]))('seed %i', async (seed) => {
    const random = seededRandom(seed)
    const served = await serve()
    const received: string[] = []
    const client = connectTo(`http://127.0.0.1:${served.port}`, { forceNew: true, reconnection: false })
    onTestFinished(() => void client.disconnect())
    client.on('rtapi', (data: string) => received.push(data))
    client.on('note', (data: string) => received.push(data))
    const link = await served.api.link(0)
    const application = applicationSocket(served)
    const { conn } = application
    const sent: string[] = []
    const emitted: string[] = []
    const send = (): void => {
      const data = `${sent.length} ${'x'.repeat(random.integer(3_000))}`
      sent.push(data)
      if (random.chance(0.2)) application.emit('note', data)
      else link.socket.send({ data })
    }
    let phase = 'polling'
    for (const event of ['upgrading', 'upgrade'] as const) {
      conn.on(event, () => {
        phase = event
        for (let i = 0; i < 5; i++) send()
        if (event === 'upgrade') process.nextTick(send)
      })
    }
    let sentAfter = 0
    while (sentAfter < 50) {
      const burst = random.integer(4)
      for (let i = 0; i < burst; i++) send()
      if (random.chance(0.3)) {
        const data = `${emitted.length}`
        emitted.push(data)
        client.emit('rtapi', data)
      }
      if (phase === 'upgrade') sentAfter++
      await settle()
    }
    await until('all frames', () => received.length >= sent.length)
    await link.untilReceived(emitted.length)
    expect(conn.transport.name).toBe('websocket')
    expect(received).toEqual(sent)
    expect(link.received).toEqual(emitted)
    await until('room', () => link.socket.bufferedAmount === 0)
  })
})

test('a link that is cut while frames wait leaves nothing behind', async () => {
  const served = await serve()
  const client = await connect(served.port)
  const { socket } = await served.api.link(0)
  const { conn } = applicationSocket(served)
  const before = { upgrade: 1, packetCreate: 1, close: 2 }
  client.pause()
  await fill(socket)
  client.abort()
  await (await served.api.link(0)).untilClosed()
  expect(socket.bufferedAmount).toBe(0)
  for (const [event, count] of Object.entries(before)) expect(conn.listenerCount(event)).toBeLessThan(count)
})
