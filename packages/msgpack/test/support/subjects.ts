import { once } from 'node:events'
import { type Server as HttpServer, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Api, subprotocol } from '@rtapi/core'
import { serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import type { RawConnect, RawLink, TransportSubject } from '@rtapi/testing'
import { serveWebSocket } from '@rtapi/ws'
import { Server } from 'socket.io'
import { WebSocket } from 'ws'
import { connect as connectIo } from '../../../socket.io/test/client.ts'

/** Serves an API over WebSockets. */
export async function serveWs(api: Api): Promise<TransportSubject> {
  const { http, host, dispose } = await listen()
  const service = serveWebSocket(api, http)
  return {
    origin: `http://${host}`,
    connect: (options = {}) => connectWs(`ws://${host}/rt`, { codec: api.codecs[0]?.name ?? '', ...options }),
    close: () => service.close(),
    dispose,
  }
}

/** Serves an API over socket.io, whose clients come by the one way or the other. */
export function serveIo(transport: 'websocket' | 'polling'): (api: Api) => Promise<TransportSubject> {
  return async (api) => {
    const { http, host, port, dispose } = await listen()
    const server = new Server(http, { ...socketIoOptions(api), serveClient: false })
    const service = serveSocketIo(api, server)
    return {
      origin: `http://${host}`,
      connect: (options) => connectIo(port, { transport, ...options }),
      close: () => service.close(),
      async dispose() {
        await server.close()
        dispose()
      },
    }
  }
}

async function listen(): Promise<{ http: HttpServer; host: string; port: number; dispose: () => void }> {
  const http = createServer((_, response) => void response.writeHead(404).end())
  const sockets = new Set<Socket>()
  http.on('connection', (socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const dispose = (): void => {
    for (const socket of sockets) socket.destroy()
    http.close()
  }
  return { http, host: `127.0.0.1:${port}`, port, dispose }
}

async function connectWs(url: string, { codec = '', headers = {} }: RawConnect): Promise<RawLink> {
  const socket = new WebSocket(url, subprotocol(codec), { headers })
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
