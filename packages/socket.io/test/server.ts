import { once } from 'node:events'
import { type Server as HttpServer, createServer } from 'node:http'
import type { AddressInfo, Socket as RawSocket } from 'node:net'
import type { Api } from '@rtapi/core'
import { Server, type ServerOptions } from 'socket.io'
import { type SocketIoOptions, type SocketIoService, serveSocketIo, socketIoOptions } from '../src/index.ts'

export interface Port {
  readonly port: number
  /** Tears every connection and stops listening. */
  readonly stop: () => void
}

export interface Listening extends Port {
  readonly io: Server
  readonly http: HttpServer
  readonly service: SocketIoService
}

export interface ListenOptions extends SocketIoOptions {
  readonly api: Api
  readonly io?: Partial<ServerOptions>
  /** Serves this namespace instead of the whole server. */
  readonly namespace?: Parameters<Server['of']>[0]
}

/** Serves an API on a socket.io server of its own. */
export async function listen({ api, io: ioOptions, namespace, ...options }: ListenOptions): Promise<Listening> {
  const http = createServer((_, response) => void response.writeHead(404).end())
  const io = new Server(http, { ...socketIoOptions(api), serveClient: false, ...ioOptions })
  const service = serveSocketIo(api, namespace === undefined ? io : io.of(namespace), options)
  return { io, http, service, ...(await listenOn(http)) }
}

/** Listens on a free port. */
export async function listenOn(http: HttpServer): Promise<Port> {
  const sockets = new Set<RawSocket>()
  http.on('connection', (socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const stop = (): void => {
    for (const socket of sockets) socket.destroy()
    http.close()
  }
  return { port: (http.address() as AddressInfo).port, stop }
}
