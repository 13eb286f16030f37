import { once } from 'node:events'
import { type Server as HttpServer, createServer } from 'node:http'
import type { AddressInfo, Socket as RawSocket } from 'node:net'
import type { Api } from '@rtapi/core'
import { Server, type ServerOptions } from 'socket.io'
import { type SocketIoOptions, type SocketIoService, serveSocketIo, socketIoOptions } from '../src/index.ts'

export interface Listening {
  readonly io: Server
  readonly http: HttpServer
  readonly service: SocketIoService
  readonly port: number
  /** Tears every connection and stops listening. */
  stop(): void
}

export interface ListenOptions extends SocketIoOptions {
  readonly api: Api
  readonly io?: Partial<ServerOptions>
  /** Serves this namespace instead of the whole server. */
  readonly namespace?: string
}

/** Serves an API on a socket.io server of its own. */
export async function listen({ api, io: ioOptions, namespace, ...options }: ListenOptions): Promise<Listening> {
  const http = createServer((_, response) => void response.writeHead(404).end())
  const io = new Server(http, { ...socketIoOptions(api), serveClient: false, ...ioOptions })
  const service = serveSocketIo(api, namespace === undefined ? io : io.of(namespace), options)
  const sockets = new Set<RawSocket>()
  http.on('connection', (socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const stop = (): void => {
    for (const socket of sockets) socket.destroy()
    http.close()
  }
  return { io, http, service, port: (http.address() as AddressInfo).port, stop }
}
