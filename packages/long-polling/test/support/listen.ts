import { once } from 'node:events'
import { type RequestListener, type Server, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A server of this machine. */
export interface Listening {
  readonly port: number
  readonly origin: string
  readonly server: Server
  /** Ends it, and every connection to it. */
  readonly end: () => Promise<void>
}

/** Serves a listener of Node on a port of its own. */
export async function listen(listener: RequestListener): Promise<Listening> {
  const server = createServer(listener)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    server,
    async end() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
