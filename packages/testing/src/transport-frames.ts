import type { ServerMessage } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { settle } from './event-loop.ts'
import {
  type RawLink,
  type TransportCase,
  type TransportFactory,
  type TransportRun,
  bytesCodec,
  textOf,
} from './transport-run.ts'

const unicode = 'Ünïcode 😀 \u2028 "\\" \u0001'

/** Frames of very different sizes, each like no other. */
function frames(count: number): readonly string[] {
  const sizes = [2, 120, 130, 4_000, 60_000, 65, 8]
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({ type: 'pong', i, text: 'x'.repeat(sizes[i % 7] ?? 0) }),
  )
}

/** What transports promise of frames on their way. */
export function transportFrames({ binary, codec = bytesCodec }: TransportFactory): readonly TransportCase[] {
  const noBinary = binary === true ? '' : `: not tried, ${binary.not}`
  return [
    [
      "the client's frames come whole, once each, in order",
      async (run) => {
        const { client, server } = await run.connect()
        const sent = [...frames(50), JSON.stringify({ type: 'pong', text: unicode })]
        for (const frame of sent) await client.send(frame)
        checkEqual(await run.texts(server, sent.length), sent, 'the frames')
      },
    ],
    [
      "the server's frames come whole, once each, in order, also if they are sent at once",
      async (run) => {
        const { client, server } = await run.connect()
        const sent = [...frames(200), JSON.stringify({ type: 'pong', text: unicode })]
        for (const data of sent) server.socket.send({ data })
        checkEqual(await run.texts(client, sent.length), sent, 'the frames')
        server.socket.send({ data: 'later' })
        checkEqual((await run.texts(client, sent.length + 1)).at(-1), 'later', 'a frame that was sent later')
      },
    ],
    [
      'one frame may be sent to many sockets, and more than once',
      async (run) => {
        const links = [await run.connect(), await run.connect(), await run.connect()]
        const shared = { data: JSON.stringify({ type: 'pong', text: unicode }) }
        for (const [i, { server }] of links.entries()) {
          server.socket.send({ data: `before ${i}` })
          server.socket.send(shared)
          server.socket.send(shared)
          server.socket.send({ data: `after ${i}` })
        }
        for (const [i, { client }] of links.entries()) {
          const wanted = [`before ${i}`, shared.data, shared.data, `after ${i}`]
          checkEqual(await run.texts(client, 4), wanted, `the frames of client ${i}`)
        }
        links[0]?.server.socket.send(shared)
        checkEqual((await run.texts(links[0]?.client ?? fail(), 5)).at(-1), shared.data, 'the frame once more')
      },
    ],
    [
      'a frame of 1 MiB comes whole',
      async (run) => {
        const { client, server } = await run.connect()
        const data = JSON.stringify({ type: 'pong', text: 'äx'.repeat(350_000) })
        server.socket.send({ data })
        server.socket.send({ data: 'next' })
        const [large, next] = await run.texts(client, 2)
        check(large === data, 'the frame is not what was sent')
        checkEqual(next, 'next', 'the frame after it')
      },
    ],
    [
      'an answer that is sent within receive comes',
      async (run) => {
        const { client } = await run.connect()
        for (let i = 0; i < 20; i++) await client.send(JSON.stringify({ i }))
        const wanted = Array.from({ length: 20 }, (_, i) => `answer to ${JSON.stringify({ i })}`)
        checkEqual(await run.texts(client, 20), wanted, 'the answers')
      },
      { onReceive: ({ socket }, data) => socket.send({ data: `answer to ${textOf(data)}` }) },
    ],
    [
      `frames of a codec that writes bytes are bytes at both ends${noBinary}`,
      async (run) => {
        if (binary !== true) return
        const { client, server } = await run.connect({ codec: codec.name })
        const message: ServerMessage = { type: 'reply', id: unicode, ok: true }
        server.send(message)
        await client.send(codec.encode(message))
        await Promise.all([run.texts(client, 1), run.texts(server, 1)])
        for (const [what, [frame]] of [
          ['client', client.received],
          ['server', server.received],
        ] as const) {
          check(frame instanceof Uint8Array, `what came to the ${what} is no bytes`)
          checkEqual(codec.decode(frame), message, `what came to the ${what}`)
        }
      },
      { codecs: [codec] },
    ],
    [
      'a frame of the largest size is taken, and a larger one ends the link unread',
      async (run) => {
        const { client, server } = await run.connect()
        const frame = (size: number): string => JSON.stringify('ä'.repeat((size - 2) / 2))
        await client.send(frame(1_024))
        checkEqual((await run.texts(server, 1))[0], frame(1_024), 'the frame of the largest size')
        const refused = await refusalOf(run, client, frame(1_026))
        check([1009, 4413, undefined].includes(refused?.code), `the link ended with ${refused?.code}, not 1009 or 4413`)
        await settle()
        checkEqual(server.received.length, 1, 'frames that came to the API')
      },
      { limits: { frame: 1_024 } },
    ],
    [
      'the buffer grows while a client does not read, and drains when it does; nobody else waits',
      async (run) => {
        const { client, server } = await run.connect()
        const other = await run.connect()
        client.pause()
        const sent = await fillBuffer(server.socket)
        // What the system took meanwhile, it may have taken in gulps.
        const { drains } = server
        other.server.socket.send({ data: 'for another' })
        checkEqual(await run.texts(other.client, 1), ['for another'], 'the frames of another client')
        check(server.socket.bufferedAmount > HIGH / 2, 'the buffer drained though nobody read')
        checkEqual(server.drains, drains, 'calls of drained while nobody read')
        client.resume()
        const numbers = (await run.texts(client, sent)).map((text) => Number(text.split(' ', 1)[0]))
        checkEqual(
          numbers,
          numbers.map((_, i) => i),
          'the frames',
        )
        await server.untilDrained(drains + 1)
        check(server.socket.bufferedAmount < 65_536, `after drained, ${server.socket.bufferedAmount} bytes are waiting`)
      },
    ],
  ]
}

/** Bytes that wait in this process although the system's own buffers are full. */
const HIGH = 2 * 1_048_576
const FRAME = 65_536
const MOST = 64 * 1_048_576

/** Sends numbered frames until many bytes are waiting; answers how many frames. */
async function fillBuffer(socket: {
  send(frame: { data: string }): void
  readonly bufferedAmount: number
}): Promise<number> {
  const pad = 'x'.repeat(FRAME)
  let sent = 0
  while (socket.bufferedAmount < HIGH) {
    check(sent * FRAME < MOST, `${MOST} bytes were sent to a client that does not read, and none of them is waiting`)
    for (let i = 0; i < 8; i++) socket.send({ data: `${sent++} ${pad}` })
    // What the system takes, it takes meanwhile.
    await settle()
  }
  return sent
}

/** How the link ended when this was sent; `undefined` if the frame alone was refused. */
async function refusalOf(
  run: TransportRun,
  client: RawLink,
  frame: string,
): Promise<{ readonly code: number } | undefined> {
  try {
    await client.send(frame)
  } catch {
    return undefined
  }
  return await run.endOf(client)
}

function fail(): never {
  throw new TypeError('there is no such link')
}
