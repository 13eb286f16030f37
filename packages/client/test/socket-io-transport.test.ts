import { io } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type SocketIoSocketLike, createClient, socketIoTransport } from '../src/index.ts'
import { bytesCodec } from './support/bytes-codec.ts'
import { type ItemsApi, RealServers } from './support/real-servers.ts'
import { recordLink } from './support/recorded-link.ts'
import { settle } from './support/scripted-client.ts'

/** A socket in the hands of the test. */
class FakeSocket implements SocketIoSocketLike {
  readonly listeners = new Map<string, (data: never) => void>()
  readonly emitted: unknown[][] = []
  disconnected = 0

  on(event: string, listener: (data: never) => void): void {
    this.listeners.set(event, listener)
  }

  off(): void {
    this.listeners.clear()
  }

  emit(...args: unknown[]): void {
    this.emitted.push(args)
  }

  disconnect(): void {
    this.disconnected++
    this.say('disconnect', 'io client disconnect')
  }

  say(event: string, data?: unknown): void {
    this.listeners.get(event)?.(data as never)
  }
}

function faked(url?: string, options?: Readonly<Record<string, unknown>>) {
  const socket = new FakeSocket()
  const asked: { url?: string; options?: Readonly<Record<string, unknown>> } = {}
  const transport = socketIoTransport(
    (to, given) => {
      Object.assign(asked, { url: to, options: given })
      return socket
    },
    { ...(url === undefined ? {} : { url }), ...(options === undefined ? {} : { options }) },
  )
  return { socket, asked, ...recordLink(transport, 'wss://server.example/rt?x=1') }
}

describe('the socket', () => {
  test('is one of its own, does not reconnect by itself, and names the codec beside what the user wants', () => {
    const { asked } = faked(undefined, { path: '/io', auth: { key: 1 }, reconnection: true, forceNew: false })
    expect(asked).toEqual({
      url: 'https://server.example/',
      options: { path: '/io', auth: { key: 1, codec: 'json' }, reconnection: false, forceNew: true },
    })
    expect(faked('https://other.example/live').asked.url).toBe('https://other.example/live')
  })

  test('carries texts and bytes', () => {
    const { socket, link, frames } = faked()
    link.send('too early')
    socket.say('rtapi', 'too early')
    socket.say('connect')
    link.send('up')
    link.send(Uint8Array.of(1))
    socket.say('rtapi', 'down')
    socket.say('rtapi', Uint8Array.of(2))
    socket.say('rtapi', Uint8Array.of(3).buffer)
    socket.say('rtapi', { neither: true })
    expect(socket.emitted).toEqual([
      ['rtapi', 'up'],
      ['rtapi', Uint8Array.of(1)],
    ])
    expect(frames).toEqual(['down', Uint8Array.of(2), Uint8Array.of(3)])
  })

  test('that is lost, or cannot connect, is over once, and nothing listens any more', () => {
    const lost = faked()
    lost.socket.say('connect')
    lost.socket.say('disconnect', 'transport close')
    lost.socket.say('connect_error', new Error('late'))
    expect([lost.closes, lost.socket.listeners.size]).toEqual([[[1006, 'transport close', undefined]], 0])
    const refused = faked()
    refused.socket.say('connect_error', Object.assign(new Error('full'), { data: { code: 4452 } }))
    expect([refused.closes, refused.socket.listeners.size]).toEqual([[[4452, 'full', undefined]], 0])
    expect(refused.socket.disconnected).toBe(1)
    refused.link.send('late')
    refused.link.close(1000, '')
    expect([refused.socket.emitted, refused.socket.disconnected]).toEqual([[], 1])
  })

  test('that is closed calls nothing back', () => {
    const { socket, link, closes, clock } = faked()
    link.close(1000, '')
    link.close(1000, '')
    expect([closes, socket.disconnected, socket.listeners.size, clock.timers]).toEqual([[], 1, 0, 0])
  })
})

test('a codec that the server does not have closes the client with the code of the refusal', async () => {
  const servers = await RealServers.start()
  const client = createClient<ItemsApi>({
    url: servers.url,
    transport: socketIoTransport(io),
    codec: { ...bytesCodec, name: 'unheard' },
  })
  onTestFinished(async () => {
    client.close()
    await servers.stop()
  })
  await expect(client.items.list()).rejects.toMatchObject({ code: 'unsupported' })
  expect(client.connection.status).toBe('closed')
})

test('a server that is not there is a link that is lost', async () => {
  const { closes } = recordLink(socketIoTransport(io), 'http://127.0.0.1:1/')
  await expect.poll(() => closes).toHaveLength(1)
  await settle()
  expect(closes[0]?.[0]).toBe(1006)
})
