import { once } from 'node:events'
import { type RequestListener, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A server of this machine. */
export interface Listening {
  readonly port: number
  readonly origin: string
  /** Tears every connection to it. */
  readonly cut: () => void
  /** Ends it, and every connection to it. */
  readonly end: () => Promise<void>
}

/** Serves a listener of Node on this port, or on one of its own. */
export async function listen(listener: RequestListener, wanted = 0): Promise<Listening> {
  const server = createServer(listener)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    cut,
    async end() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
