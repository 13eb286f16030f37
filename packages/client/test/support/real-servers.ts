import { once } from 'node:events'
import { type RequestListener, type Server, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import {
  type Api,
  type ClientMessage,
  type Codec,
  type Limits,
  type MemoryStore,
  RtapiError,
  type StandardSchema,
  allowAny,
  createApi,
  defineResource,
  jsonCodec,
  memoryStore,
} from '@rtapi/core'
import { type HttpHandler, type HttpOptions, httpHandler, toNodeListener } from '@rtapi/long-polling'
import { msgpackCodec } from '@rtapi/msgpack'
import { type SocketIoService, serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import { type WebSocketService, serveWebSocket } from '@rtapi/ws'
import { Server as SocketIoServer } from 'socket.io'
import type { LiveView } from '../../src/index.ts'
import { bytesCodec } from './bytes-codec.ts'

export type Item = { id: number; text: string }

/** Takes whatever comes. */
const anything: StandardSchema = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) },
}

function itemResource(store: MemoryStore<Item>) {
  return defineResource('items', {
    store,
    input: { create: ['text'], update: ['text'] },
    permissions: [allowAny],
    ownActions: { echo: { input: anything, run: (_, { data }): string => String(data) } },
  })
}

export type ItemsApi = Api<readonly [ReturnType<typeof itemResource>]>

/** One API behind every transport there is, on one port. */
export class RealServers {
  readonly store: MemoryStore<Item>
  readonly api: ItemsApi
  /** Tokens that are not accepted. */
  readonly revoked = new Set<string>()
  /** What the API reported. */
  readonly reported: unknown[] = []
  /** Every message that reached the API. */
  readonly received: ClientMessage[] = []
  /** What else is served, by path. */
  readonly files = new Map<string, RequestListener>()
  port = 0
  readonly #httpOptions: HttpOptions
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #http: HttpHandler | undefined
  #webSockets: WebSocketService | undefined
  #socketIo: { readonly io: SocketIoServer; readonly service: SocketIoService } | undefined

  private constructor({ http = {}, limits }: RealServersOptions) {
    this.#httpOptions = http
    this.store = memoryStore<Item>({ entity: 'Item', fields: { id: 'integer', text: 'string' } })
    const api = createApi({
      resources: [itemResource(this.store)],
      changes: [this.store],
      codecs: [jsonCodec, msgpackCodec, bytesCodec] satisfies readonly Codec[],
      authenticate: ({ token }) => {
        if (token === undefined || token === null) return null
        if (this.revoked.has(token)) throw new RtapiError('unauthenticated', 'unknown token')
        return { user: { id: token.split('/')[0] ?? '' } }
      },
      limits: { rate: 1_000_000, burst: 1_000_000, ...limits },
      report: (error) => this.reported.push(error),
    })
    this.api = {
      ...api,
      accept: (socket, handshake, codec) => {
        const events = api.accept(socket, handshake, codec)
        return {
          receive: (data) => {
            const frame = codec.decode(data) as ClientMessage | readonly ClientMessage[]
            this.received.push(...([frame].flat() as readonly ClientMessage[]))
            events.receive(data)
          },
          drained: () => events.drained(),
          closed: (code, reason) => events.closed(code, reason),
        }
      },
    }
  }

  static async start(options: RealServersOptions = {}): Promise<RealServers> {
    const servers = new RealServers(options)
    await servers.listen()
    return servers
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/rt`
  }

  /** Starts to serve, on the port of before if there was one. */
  async listen(): Promise<void> {
    const http = httpHandler(this.api, this.#httpOptions)
    const listener = toNodeListener(http)
    const server = createServer((request, response) => {
      const file = this.files.get(request.url ?? '')
      if (file !== undefined) file(request, response)
      else if (request.url?.startsWith('/socket.io') !== true) listener(request, response)
    })
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#http = http
    // The proxies of the tests have ports, and with them origins, of their own.
    this.#webSockets = serveWebSocket(this.api, server, { origins: 'any' })
    const io = new SocketIoServer(server, { ...socketIoOptions(this.api), destroyUpgrade: false })
    this.#socketIo = { io, service: serveSocketIo(this.api, io) }
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** The network fails: every connection is torn. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Tells the clients of every transport to come back later. */
  async drain(): Promise<void> {
    await Promise.all([
      this.#http?.close({ timeout: 2_000 }),
      this.#webSockets?.close({ timeout: 2_000 }),
      this.#socketIo?.service.close({ timeout: 2_000 }),
    ])
  }

  /** Stops as a process that is killed: nobody is told. The API, and what is in memory, goes on. */
  async kill(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    this.#socketIo?.io.engine.close()
    this.cut()
    await closed
    // Its sessions are gone with it.
    await Promise.all([this.#http?.close({ timeout: 0 }), this.#webSockets?.close({ timeout: 0 })])
  }

  async stop(): Promise<void> {
    await Promise.all([this.api.close(), this.kill()])
  }
}

export interface RealServersOptions {
  readonly limits?: Partial<Limits>
  readonly http?: HttpOptions
}

/** Waits until a view shows what is wanted; fails as the test does when its time is up. */
export async function untilShown<R>(view: LiveView<R>, isWanted: (rows: readonly R[]) => boolean): Promise<void> {
  for await (const rows of view) if (isWanted(rows)) return
}
