import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Api, subprotocol } from '@rtapi/core'
import type { RawConnect, RawLink, TransportSubject } from '@rtapi/testing'
import { WebSocket } from 'ws'
import { serveWebSocket } from '../src/index.ts'

/** Serves an API to clients of ws itself. */
export async function serveSubject(api: Api): Promise<TransportSubject> {
  const server = createServer((_, response) => void response.writeHead(404).end())
  const service = serveWebSocket(api, server)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin: `http://${address}`,
    connect: (options) => connect(`ws://${address}/rt`, options?.codec ?? api.codecs[0]?.name ?? '', options),
    close: () => service.close(),
    dispose() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A client of ws itself, which has opened. */
async function connect(url: string, codec: string, options: RawConnect = {}): Promise<RawLink> {
  const socket = new WebSocket(url, subprotocol(codec), { headers: options.headers ?? {} })
  const received: (string | Uint8Array)[] = []
  socket.on('message', (data: Buffer, binary) => received.push(binary ? new Uint8Array(data) : data.toString()))
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  await once(socket, 'open')
  socket.on('error', () => {})
  return {
    received,
    closed,
    send: (data) => socket.send(data),
    close: () => socket.close(1000),
    abort: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}
