/** `@rtapi/ws` under the same hand-written server as `bare-ws`: what the transport costs without the rest of rtapi. */
import { createServer } from 'node:http'
import { type Api, type TransportSocket, defaultLimits, jsonCodec, systemClock } from '@rtapi/core'
import { serveWebSocket } from '@rtapi/ws'
import { type BareRequest, BareRooms } from './bare-rooms.ts'
import { listen, serveTarget } from './serve-target.ts'

let rooms: BareRooms<TransportSocket> | undefined

serveTarget({
  async start(workload) {
    const known = new BareRooms<TransportSocket>(workload)
    rooms = known
    const http = createServer()
    serveWebSocket(apiOf(known), http, { acceptRate: Infinity })
    return { port: await listen(http), path: '/rt', protocol: 'rtapi.v1.json' }
  },
  change(keys, at) {
    for (const key of keys) if (rooms !== undefined) change(rooms, key, { at })
  },
})

function apiOf(rooms: BareRooms<TransportSocket>): Api {
  return {
    ready: Promise.resolve(),
    limits: defaultLimits,
    codecs: [jsonCodec],
    clock: systemClock,
    report: () => {},
    accept: (socket) => ({
      receive: (data) => answer(rooms, socket, JSON.parse(String(data)) as BareRequest),
      drained: () => {},
      closed: () => {},
    }),
    sessions: {
      end: () => Promise.resolve(),
      refresh: () => Promise.resolve(),
      list: () => Promise.resolve({ connections: [], complete: true }),
    },
    touch: () => Promise.resolve(),
    stats: () => ({ connections: 0, subscriptions: 0, feeds: 0, groups: 0, timers: 0 }),
    close: () => Promise.resolve(),
  }
}

function change(rooms: BareRooms<TransportSocket>, key: number, patch: object): void {
  const { text, followers } = rooms.change(key, patch)
  const frame = { data: text }
  for (const socket of followers) socket.send(frame)
}

function answer(rooms: BareRooms<TransportSocket>, socket: TransportSocket, request: BareRequest): void {
  if (request.follow !== undefined) {
    rooms.follow(socket, request.follow)
    socket.send({ data: '{"following":1}' })
    return
  }
  if (request.action === 'update') change(rooms, request.key ?? 0, request.data ?? {})
  socket.send({ data: rooms.reply(request) })
}
