import type { Api, Handshake, SocketEvents, TransportSocket } from '@rtapi/core'
import { type RawLink, type TransportSubject, transportSuite } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'
import { serveInMemory } from './support/memory-transport.ts'

/** What stands between the API and the right transport, in one direction or the other. */
interface Mutant {
  readonly socket?: (socket: TransportSocket) => Partial<TransportSocket>
  readonly events?: (events: SocketEvents, socket: TransportSocket) => Partial<SocketEvents>
  readonly handshake?: (handshake: Handshake) => Partial<Handshake>
  readonly link?: (link: RawLink) => Partial<RawLink>
  /** Frames of any size are let through. */
  readonly anySize?: true
  readonly subject?: (subject: TransportSubject) => Partial<TransportSubject>
}

function serveWith(mutant: Mutant): (api: Api) => TransportSubject {
  return (api) => {
    const subject = serveInMemory({
      ...api,
      limits: mutant.anySize === true ? { ...api.limits, frame: 1e9 } : api.limits,
      accept(socket, handshake, codec) {
        const given: TransportSocket = {
          id: socket.id,
          send: (frame) => socket.send(frame),
          close: (code, reason) => socket.close(code, reason),
          get bufferedAmount() {
            return socket.bufferedAmount
          },
        }
        const changed = Object.defineProperties(given, Object.getOwnPropertyDescriptors(mutant.socket?.(socket) ?? {}))
        const events = api.accept(changed, { ...handshake, ...mutant.handshake?.(handshake) }, codec)
        return {
          receive: (data) => events.receive(data),
          drained: () => events.drained(),
          closed: (code, reason) => events.closed(code, reason),
          ...mutant.events?.(events, socket),
        }
      },
    })
    const connect: TransportSubject['connect'] = async (options) => {
      const link = await subject.connect(options)
      return { ...link, ...mutant.link?.(link) }
    }
    return { ...subject, connect, ...mutant.subject?.({ ...subject, connect }) }
  }
}

function failuresWith(mutant: Mutant): Promise<string[]> {
  const origins = { not: 'there are no pages in memory' }
  return failuresOf(transportSuite({ name: 'test', serve: serveWith(mutant), binary: true, origins, timeout: 30 }))
}

const every = (count: number): (() => boolean) => {
  let calls = 0
  return () => ++calls % count === 0
}

const mutants: Readonly<Record<string, Mutant>> = {
  'calls itself something else': { handshake: () => ({ transport: 'other' }) },
  'gives no address': { handshake: () => ({ remoteAddress: '' }) },
  'keeps the case of header names': {
    handshake: ({ headers }) => ({
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])),
    }),
  },
  'gives all sockets one id': { socket: () => ({ id: 'same' }) },
  'loses a frame now and then': {
    socket(socket) {
      const lost = every(50)
      return {
        send(frame) {
          if (!lost()) socket.send(frame)
        },
      }
    },
  },
  'loses a frame of the client now and then': {
    events(events) {
      const lost = every(20)
      return {
        receive(data) {
          if (!lost()) events.receive(data)
        },
      }
    },
  },
  'sends the newest frame first': {
    socket(socket) {
      let waiting: Parameters<TransportSocket['send']>[0][] = []
      return {
        send(frame) {
          if (waiting.length === 0) {
            queueMicrotask(() => {
              for (const last of waiting.toReversed()) socket.send(last)
              waiting = []
            })
          }
          waiting.push(frame)
        },
      }
    },
  },
  'sends a frame that it has sent before only once': {
    socket: (socket) => ({
      send(frame) {
        if (frame.wire === socket.id) return
        frame.wire = socket.id
        socket.send(frame)
      },
    }),
  },
  'keeps the wire form of one socket for another': {
    socket: (socket) => ({
      send(frame) {
        frame.wire ??= { data: frame.data, to: socket.id }
        if (
          typeof frame.wire === 'object' &&
          frame.wire !== null &&
          'to' in frame.wire &&
          frame.wire.to === socket.id
        ) {
          socket.send(frame)
        }
      },
    }),
  },
  'cuts long frames': {
    socket: (socket) => ({ send: ({ data }) => socket.send({ data: data.slice(0, 100_000) }) }),
  },
  'loses what is not ASCII': {
    events: (events) => ({
      receive: (data) => events.receive(typeof data === 'string' ? data.replace(/[^\0-\x7f]/g, '?') : data),
    }),
  },
  'sends bytes as text': {
    socket: (socket) => ({
      send: ({ data }) => socket.send({ data: typeof data === 'string' ? data : new TextDecoder().decode(data) }),
    }),
  },
  'takes frames of any size': { anySize: true },
  'says nothing waits, whatever does': { socket: () => ({ bufferedAmount: 0 }) },
  'never says that there is room again': { events: () => ({ drained: () => {} }) },
  'says that there is room again while there is none': {
    socket: (socket) => ({
      get bufferedAmount() {
        return socket.bufferedAmount + 1_048_576
      },
    }),
  },
  'lets one wait for another': {
    link(link) {
      return {
        pause() {
          link.pause()
          slow = true
        },
        resume() {
          link.resume()
          slow = false
        },
      }
    },
    socket: (socket) => ({
      send(frame) {
        if (slow && typeof frame.data === 'string' && frame.data.startsWith('for another')) return
        socket.send(frame)
      },
    }),
  },
  'drops what was given before close': {
    socket(socket) {
      let isClosed = false
      return {
        send: (frame) =>
          queueMicrotask(() => {
            if (!isClosed) socket.send(frame)
          }),
        close(code, reason) {
          isClosed = true
          socket.close(code, reason)
        },
      }
    },
  },
  'closes with a code of its own': { socket: (socket) => ({ close: (_, reason) => socket.close(1000, reason) }) },
  'gives no reason': { socket: (socket) => ({ close: (code) => socket.close(code, '') }) },
  'says closed twice': {
    events: (events) => ({
      closed(code, reason) {
        events.closed(code, reason)
        events.closed(code, reason)
      },
    }),
  },
  'never says closed': { events: () => ({ closed: () => {} }) },
  'says closed only of links that the client ends': {
    events: (events) => ({
      closed(code, reason) {
        if (code < 4000) events.closed(code, reason)
      },
    }),
  },
  'throws at what is sent too late': {
    socket(socket) {
      let isClosed = false
      return {
        send(frame) {
          if (isClosed) throw new Error('the socket is closed')
          socket.send(frame)
        },
        close(code, reason) {
          isClosed = true
          socket.close(code, reason)
        },
      }
    },
  },
  'lets clients in after its end': {
    subject: (subject) => ({ close: () => {}, connect: (options) => subject.connect(options) }),
  },
  'accepts a codec that the API has not': {
    subject: (subject) => ({
      connect: (options) => subject.connect(options?.codec === 'unknown' ? { ...options, codec: 'json' } : options),
    }),
  },
}

let slow = false

test('the right transport passes', async () => {
  expect(await failuresWith({})).toEqual([])
})

test.each(Object.keys(mutants))('a transport that %s is found', async (name) => {
  expect(await failuresWith(mutants[name] ?? {})).not.toEqual([])
})
