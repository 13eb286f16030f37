import { type Server, createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { type WebSocketOptions, type WebSocketService, serveWebSocket } from '../src/index.ts'
import { type AcceptedClient, FakeApi } from './fake-api.ts'
import { type Headers, RawClient } from './raw-client.ts'

export interface Served {
  readonly api: FakeApi
  readonly port: number
  readonly server: Server
  readonly service: WebSocketService
  /** Connects a raw client and answers it with what the API was given for it. */
  readonly open: (headers?: Headers) => Promise<{ client: RawClient; accepted: AcceptedClient }>
}

/** Serves a fake API on a port of its own, until the test ends. */
export async function serve(options: WebSocketOptions = {}, api: FakeApi = new FakeApi()): Promise<Served> {
  const server = createServer()
  const service = serveWebSocket(api, server, options)
  const port = await listen(server)
  return {
    api,
    port,
    server,
    service,
    async open(headers) {
      const client = await RawClient.open(port, headers)
      if (client.answer.status !== 101) throw new Error(`refused: ${client.answer.status} ${client.answer.body}`)
      return { client, accepted: await api.clients.next() }
    },
  }
}

/** Listens on a free port until the test ends, and then ends every connection. */
export async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}
