import { type Server as HttpServer, type RequestListener, createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Api } from '@rtapi/core'
import { httpHandler, toNodeListener } from '@rtapi/long-polling'
import { serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import { serveWebSocket } from '@rtapi/ws'
import { Server as SocketIoServer } from 'socket.io'

/** Where each transport is, below the address of the server. */
export const paths = { ws: '/rt', socketio: '/socket.io', poll: '/rt-poll' } as const

/** Milliseconds in which clients may take what was sent to them, when the process is told to end. */
const socketDrainTime = 20_000
/** A client that polls is back at once; one that has gone without a word is not waited for long. */
const pollDrainTime = 5_000

/** An HTTP server on which an API is served over everything: WebSocket, socket.io, long polling, events, one request. */
export interface Transports {
  readonly server: HttpServer
  /** Says goodbye to every client and lets nobody in any more; settles when all have been told, or time is over. */
  close(): Promise<void>
}

/** @param pages - answers the requests that are for no transport. */
export function serveTransports(api: Api, pages: RequestListener): Transports {
  const polling = httpHandler(api, { path: paths.poll })
  const polls = toNodeListener(polling)
  const server = createServer({ headersTimeout: 10_000, connectionsCheckingInterval: 2_000 }, (request, response) =>
    isPoll(pathOf(request.url)) ? polls(request, response) : pages(request, response),
  )
  const webSockets = serveWebSocket(api, server, { path: paths.ws })
  const io = new SocketIoServer(server, {
    ...socketIoOptions(api),
    path: paths.socketio,
    serveClient: false,
    // Upgrades of other paths are not its business.
    destroyUpgrade: false,
  })
  const socketIo = serveSocketIo(api, io)
  server.on('upgrade', ({ url }, socket) => {
    if (pathOf(url) !== paths.ws && !pathOf(url).startsWith(`${paths.socketio}/`)) refuseUpgrade(socket)
  })
  return {
    server,
    async close() {
      await Promise.all([
        api.close(),
        webSockets.close({ timeout: socketDrainTime }),
        socketIo.close({ timeout: socketDrainTime }),
        polling.close({ timeout: pollDrainTime }),
      ])
      io.engine.close()
    },
  }
}

function pathOf(url = '/'): string {
  return url.split('?', 1)[0] ?? url
}

function isPoll(path: string): boolean {
  return path === paths.poll || path.startsWith(`${paths.poll}/`)
}

function refuseUpgrade(socket: Duplex): void {
  socket.on('error', () => undefined)
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
}
