/**
 * The measure of all: a loop that sends a ready JSON string on the sockets of `ws`. Of several processes each publishes
 * its strings over Redis, and sends what comes from there.
 */
import { createServer } from 'node:http'
import { createClient } from 'redis'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { type BareRequest, BareRooms } from './bare-rooms.ts'
import { listen, serveTarget } from './serve-target.ts'

type Publish = (key: number, text: string) => void

let rooms: BareRooms<WebSocket> | undefined
let publish: Publish | undefined

serveTarget({
  async start(workload, shared) {
    const known = new BareRooms<WebSocket>(workload)
    rooms = known
    if (shared !== null) publish = await joinOthers(known, shared.redis)
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

async function joinOthers(rooms: BareRooms<WebSocket>, url: string): Promise<Publish> {
  const [publisher, subscriber] = await Promise.all([createClient({ url }).connect(), createClient({ url }).connect()])
  await subscriber.subscribe('changes', (message) => {
    const end = message.indexOf(' ')
    send(message.slice(end + 1), rooms.followers(Number(message.slice(0, end))))
  })
  return (key, text) => void publisher.publish('changes', `${key} ${text}`)
}

function change(rooms: BareRooms<WebSocket>, key: number, patch: object): void {
  const { text, followers } = rooms.change(key, patch)
  if (publish === undefined) send(text, followers)
  else publish(key, text)
}

function send(text: string, followers: readonly WebSocket[]): void {
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
