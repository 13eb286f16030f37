import type { IncomingMessage, Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  AcceptGate,
  type Api,
  type Codec,
  OpenSockets,
  type OriginPolicy,
  WriteQueue,
  assertOrigins,
  forwardedAddress,
  originProblem,
  subprotocol,
} from '@rtapi/core'
import { type ServerOptions, WebSocketServer } from 'ws'
import { type Refusal, chooseCodec, describeHandshake, malformation, refuse, sourceOf } from './handshake.ts'
import { Turns } from './turns.ts'
import { OwnedWebSocket, type SocketContext, WsSocket } from './ws-socket.ts'

export interface WebSocketOptions {
  /** The path of the endpoint, without query. @default '/rt' */
  readonly path?: string
  /**
   * Pages of which origins may connect. `'same'`: those of the host and scheme under which the client addressed this
   * server. A list: these too, each exactly as browsers send it (`https://app.example.com`). `'any'`: no check, for
   * servers whose clients never bring cookies. A handshake without Origin comes from no browser and is let in unless it
   * brings cookies. @default 'same'
   */
  readonly origins?: 'same' | 'any' | readonly string[]
  /**
   * Whether all clients come through a proxy which sets X-Forwarded-For, -Proto and -Host: then these say the client's
   * address and the server's own origin, each by its last entry. @default false
   */
  readonly trustProxy?: boolean
  /** Open connections at once; further handshakes are answered 503. @default 20_000 */
  readonly maxConnections?: number
  /** The same for each address other than this machine's own. @default 200 */
  readonly maxConnectionsPerAddress?: number
  /** Handshakes a second, and at once after a pause; further ones are answered 503. @default 200 */
  readonly acceptRate?: number
}

/** The undo of `serveWebSocket`. */
export interface WebSocketService {
  /**
   * Lets nobody in any more (503), says `goodbye` 4452 to the clients that are there, waits until they have got what was
   * sent to them, and ends those which have not within `timeout` milliseconds. Close the API before it or with it, so
   * that its replies go out first.
   */
  close(options?: { /** @default 30_000 */ readonly timeout?: number }): Promise<void>
}

const MAX_FRAGMENTS = 64
const MAX_BUFFERED_CHUNKS = 1_024
/** Milliseconds for the other side to answer a close frame. */
const CLOSE_TIMEOUT = 5_000
/** A frame that stands unfinished for one to two of these closes its connection. */
const PROGRESS_INTERVAL = 5_000

/** The paths taken by each listener of ours, so that two services on one server know of each other. */
const pathOf = new WeakMap<object, string>()

/**
 * Serves an API to WebSocket clients of an HTTP server.
 * @throws TypeError if the path is taken on this server, or an origin is not written as browsers send it.
 */
export function serveWebSocket(
  api: Api,
  httpServer: HttpServer | HttpsServer,
  options: WebSocketOptions = {},
): WebSocketService {
  const service = new Service(api, httpServer, options)
  service.open()
  return service
}

class Service implements WebSocketService, SocketContext {
  readonly queue: WriteQueue
  readonly turns: Turns
  readonly controlFrames: number
  private readonly api: Api
  private readonly httpServer: HttpServer | HttpsServer
  private readonly path: string
  private readonly policy: OriginPolicy
  private readonly gate: AcceptGate
  private readonly ws: WebSocketServer
  private readonly codecs: ReadonlyMap<Codec, { readonly binary: boolean }>
  private readonly sockets: OpenSockets<WsSocket>
  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.upgrade(request, socket, head)
  private stopProgressTimer: (() => void) | null = null
  private closed: Promise<void> | null = null

  constructor(api: Api, httpServer: HttpServer | HttpsServer, options: WebSocketOptions) {
    this.api = api
    this.queue = new WriteQueue(api.clock)
    this.sockets = new OpenSockets(api.clock)
    this.httpServer = httpServer
    this.path = options.path ?? '/rt'
    this.policy = { origins: options.origins ?? 'same', trustProxy: options.trustProxy ?? false }
    assertOrigins(this.policy)
    this.controlFrames = api.limits.burst
    this.turns = new Turns(api.clock)
    this.gate = new AcceptGate(
      {
        clients: options.maxConnections ?? 20_000,
        clientsPerAddress: options.maxConnectionsPerAddress ?? 200,
        rate: options.acceptRate ?? 200,
      },
      api.clock,
    )
    this.codecs = new Map(
      api.codecs.map((codec) => [codec, { binary: typeof codec.encode({ type: 'pong' }) !== 'string' }]),
    )
    this.ws = new WebSocketServer(this.receiverOptions())
  }

  /** The limits of what ws reads. Compression is never offered: it costs memory, and can leak secrets by length. */
  private receiverOptions(): ServerOptions & { readonly closeTimeout: number } {
    return {
      noServer: true,
      WebSocket: OwnedWebSocket,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: this.api.limits.frame,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
      closeTimeout: CLOSE_TIMEOUT,
      handleProtocols: (_names: Set<string>, request: IncomingMessage): string | false => {
        const codec = chooseCodec(request, this.api.codecs)
        return 'name' in codec ? subprotocol(codec.name) : false
      },
    }
  }

  open(): void {
    for (const listener of this.httpServer.listeners('upgrade')) {
      if (pathOf.get(listener) === this.path) throw new TypeError(`the path ${this.path} is already served`)
    }
    pathOf.set(this.onUpgrade, this.path)
    this.httpServer.on('upgrade', this.onUpgrade)
  }

  monotonic(): number {
    return this.api.clock.monotonic()
  }

  gone(socket: WsSocket): void {
    this.gate.leave(socket.address)
    this.sockets.delete(socket)
    if (this.sockets.size > 0) return
    this.stopProgressTimer?.()
    this.stopProgressTimer = null
  }

  close({ timeout = 30_000 }: { readonly timeout?: number } = {}): Promise<void> {
    return (this.closed ??= this.drain(timeout))
  }

  private async drain(timeout: number): Promise<void> {
    await this.sockets.drain(timeout)
    this.httpServer.off('upgrade', this.onUpgrade)
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = request.url?.split('?', 1)[0]
    if (path !== this.path) {
      if (this.speaksForUnknownPaths(path)) refuse(socket, { status: 404, message: 'There is no endpoint here.' })
      return
    }
    const refusal = malformation(request) ?? this.refusalOf(request)
    if (refusal !== undefined) return refuse(socket, refusal)
    const codec = chooseCodec(request, this.api.codecs)
    if (!('name' in codec)) return refuse(socket, codec)
    const address = forwardedAddress(sourceOf(request), this.policy) ?? request.socket.remoteAddress ?? ''
    const full = this.gate.admit(address)
    if (full !== undefined) return refuse(socket, later(full))
    let accepted = false
    this.ws.handleUpgrade(request, socket, head, (ws) => {
      accepted = true
      this.accept(ws as OwnedWebSocket, socket as Socket, codec, request, address)
    })
    // ws calls back at once, unless it has refused the handshake itself.
    if (!accepted) this.gate.leave(address)
  }

  /** Other listeners may know the path; if all are ours, the last one answers. */
  private speaksForUnknownPaths(path: string | undefined): boolean {
    const listeners = this.httpServer.listeners('upgrade')
    if (listeners.at(-1) !== this.onUpgrade) return false
    return listeners.every((listener) => pathOf.has(listener) && pathOf.get(listener) !== path)
  }

  private refusalOf(request: IncomingMessage): Refusal | undefined {
    if (this.sockets.isDraining) return later('The server is shutting down.')
    const problem = originProblem(sourceOf(request), this.policy)
    return problem === undefined ? undefined : { status: 403, message: problem }
  }

  private accept(ws: OwnedWebSocket, raw: Socket, codec: Codec, request: IncomingMessage, address: string): void {
    const binary = this.codecs.get(codec)?.binary ?? false
    const socket = new WsSocket(ws, raw, codec, binary, address, this)
    this.sockets.add(socket)
    this.stopProgressTimer ??= this.startProgressTimer()
    socket.attach(this.api.accept(socket, describeHandshake(request, address), codec))
  }

  private startProgressTimer(): () => void {
    return this.api.clock.setTimer(PROGRESS_INTERVAL, () => {
      for (const socket of this.sockets) socket.checkProgress()
      this.stopProgressTimer = this.sockets.size === 0 ? null : this.startProgressTimer()
    })
  }
}

/** Refuses for now; those who were refused together do not come back together. */
function later(message: string): Refusal {
  return { status: 503, message, headers: { 'Retry-After': String(1 + Math.floor(Math.random() * 5)) } }
}
