/** The measure of all: a loop that sends a ready JSON string on the sockets of `ws`. */
import { createServer } from 'node:http'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { type BareRequest, BareRooms } from './bare-rooms.ts'
import { listen, serveTarget } from './serve-target.ts'

let rooms: BareRooms<WebSocket> | undefined

serveTarget({
  async start(workload) {
    const known = new BareRooms<WebSocket>(workload)
    rooms = known
    const http = createServer()
    new WebSocketServer({ server: http }).on('connection', (socket) => {
      socket.on('message', (data: RawData) =>
        answer(known, socket, JSON.parse((data as Buffer).toString()) as BareRequest),
      )
    })
    return { port: await listen(http), path: '/' }
  },
  change(keys, at) {
    for (const key of keys) if (rooms !== undefined) change(rooms, key, { at })
  },
})

function change(rooms: BareRooms<WebSocket>, key: number, patch: object): void {
  const { text, followers } = rooms.change(key, patch)
  for (const socket of followers) socket.send(text)
}

function answer(rooms: BareRooms<WebSocket>, socket: WebSocket, request: BareRequest): void {
  if (request.follow !== undefined) {
    rooms.follow(socket, request.follow)
    socket.send('{"following":1}')
    return
  }
  if (request.action === 'update') change(rooms, request.key ?? 0, request.data ?? {})
  socket.send(rooms.reply(request))
}
