import { type IncomingMessage, createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Api } from '@rtapi/core'
import { Server, type ServerOptions } from 'socket.io'

/** What `socketIoOptions` sets of the options of a socket.io server. */
export type SafeServerOptions = Readonly<
  Pick<ServerOptions, 'connectTimeout' | 'maxHttpBufferSize' | 'perMessageDeflate'> &
    Partial<Pick<ServerOptions, 'wsEngine'>>
>

const MAX_FRAGMENTS = 64
const MAX_BUFFERED_CHUNKS = 1_024
/** Milliseconds for the other side to answer a close frame. */
const CLOSE_TIMEOUT = 5_000
/** Bytes of a packet around a frame: its type, the namespace, the name of the event. */
const ENVELOPE = 1_024
/** What socket.io takes where nothing is set. */
const DEFAULT_BUFFER_SIZE = 1e6

/**
 * The options of a socket.io server that hold the limits of an API, for `new Server(httpServer, socketIoOptions(api))`.
 * socket.io has no other door for them.
 *
 * - `maxHttpBufferSize`: twice `limits.frame` and 1 KiB, since a frame is quoted once more inside a packet
 * - `wsEngine`: the WebSocket server that socket.io brings along, with at most 64 fragments and 1,024 pieces of one message,
 *   and at most `limits.burst` pings and pongs within ten seconds, which it answers only to clients that read
 * - `perMessageDeflate: false`
 * - `connectTimeout`: `limits.helloTimeout`, after which a connection is closed that has joined no namespace
 */
export function socketIoOptions(api: Pick<Api, 'limits' | 'clock'>): SafeServerOptions {
  const wsEngine = limitedEngine(api)
  return {
    maxHttpBufferSize: neededBufferSize(api),
    perMessageDeflate: false,
    connectTimeout: api.limits.helloTimeout,
    ...(wsEngine === undefined ? {} : { wsEngine }),
  }
}

/** What of a server's options leaves clients more than the limits of the API; empty if nothing does. */
export function unsafeOptions(server: Server, api: Pick<Api, 'limits'>): readonly string[] {
  const options: Partial<ServerOptions> = (server.engine as Server['engine'] | undefined)?.opts ?? server._opts
  const { maxHttpBufferSize = DEFAULT_BUFFER_SIZE, perMessageDeflate, transports } = options
  const { wsEngine } = options as { readonly wsEngine?: unknown }
  const wanted = neededBufferSize(api)
  const found: string[] = []
  if (maxHttpBufferSize > wanted) found.push(`maxHttpBufferSize is ${maxHttpBufferSize}, where ${wanted} is enough`)
  if (transports?.includes('websocket') !== false && !(typeof wsEngine === 'function' && limited.has(wsEngine)))
    found.push(`wsEngine does not keep a message to ${MAX_FRAGMENTS} fragments`)
  if (perMessageDeflate)
    found.push('perMessageDeflate costs memory for each client, and what is compressed can be guessed')
  if (server.connectTimeout() > api.limits.helloTimeout)
    found.push(`connectTimeout is ${server.connectTimeout()}, where ${api.limits.helloTimeout} is enough`)
  return found
}

/** The text of a frame stands as a JSON string in its packet, which at most doubles it. */
function neededBufferSize({ limits }: Pick<Api, 'limits'>): number {
  return 2 * limits.frame + ENVELOPE
}

/** The classes that `limitedEngine` has made. */
const limited = new WeakSet<object>()

/** A socket of ws, as far as pings need it. */
interface PingedSocket {
  readonly readyState: number
  readonly bufferedAmount: number
  on(event: 'ping' | 'pong', listener: (data: Buffer) => void): unknown
  pong(data: Buffer): void
  close(code: number, reason: string): void
}

type OnUpgraded = (socket: PingedSocket, request: IncomingMessage) => void

type WebSocketEngine = new (options: object) => {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: OnUpgraded): void
}

/** The WebSocket server of the installed Engine.IO, with limits that Engine.IO has no options for. */
function limitedEngine({ limits, clock }: Pick<Api, 'limits' | 'clock'>): WebSocketEngine | undefined {
  const Engine = engineClass()
  if (Engine === undefined) return undefined
  class LimitedEngine extends Engine {
    constructor(options: object) {
      super({
        ...options,
        maxFragments: MAX_FRAGMENTS,
        maxBufferedChunks: MAX_BUFFERED_CHUNKS,
        closeTimeout: CLOSE_TIMEOUT,
        autoPong: false,
      })
    }

    override handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: OnUpgraded): void {
      super.handleUpgrade(request, socket, head, (upgraded, from) => {
        limitPings(upgraded, limits.burst, () => clock.monotonic())
        done(upgraded, from)
      })
    }
  }
  limited.add(LimitedEngine)
  return LimitedEngine
}

/** The class that Engine.IO takes by default; it says so once it is attached to a server, which need not listen. */
function engineClass(): WebSocketEngine | undefined {
  const { engine } = new Server(createServer(), { serveClient: false, transports: ['polling'] })
  const { wsEngine } = engine.opts as { readonly wsEngine?: unknown }
  return typeof wsEngine === 'function' ? (wsEngine as WebSocketEngine) : undefined
}

const OPEN = 1
const PING_WINDOW = 10_000
/** Pongs are not queued behind more than this: who does not read gets none. */
const PONG_BACKLOG = 65_536
const POLICY_VIOLATION = 1008

/** Answers pings, and closes a socket that gets more than `most` pings and pongs within ten seconds. */
function limitPings(socket: PingedSocket, most: number, monotonic: () => number): void {
  let since = monotonic()
  let count = 0
  const isTooMany = (): boolean => {
    const now = monotonic()
    if (now - since > PING_WINDOW) {
      since = now
      count = 0
    }
    if (++count <= most || socket.readyState !== OPEN) return false
    socket.close(POLICY_VIOLATION, 'too many pings')
    return true
  }
  socket.on('pong', isTooMany)
  socket.on('ping', (data) => {
    if (!isTooMany() && socket.readyState === OPEN && socket.bufferedAmount < PONG_BACKLOG) socket.pong(data)
  })
}
