import {
  AcceptGate,
  type AcceptLimits,
  type Api,
  type Codec,
  OpenSockets,
  type OriginPolicy,
  WriteQueue,
  assertOrigins,
  closeCodes,
} from '@rtapi/core'
import type { Namespace, Server, Socket } from 'socket.io'
import { type Refusal, addressOf, chooseCodec, describeHandshake, originRefusal, tokenRefusal } from './admission.ts'
import { ConnectionTally } from './connection-tally.ts'
import { EngineDoor } from './engine-door.ts'
import type { EngineConnection } from './engine-link.ts'
import { FrameWriter } from './packets.ts'
import { unsafeOptions } from './server-options.ts'
import { type SocketContext, SocketIoSocket } from './socket-io-socket.ts'

export interface SocketIoOptions {
  /**
   * Pages of which origins may connect. `'same'`: those of the host and scheme under which the client addressed this
   * server. A list: these too, each exactly as browsers send it (`https://app.example.com`). `'any'`: no check, for
   * servers whose clients never bring cookies. A handshake without Origin that is not a page's own comes from no browser
   * and is let in unless it brings cookies. @default 'same'
   */
  readonly origins?: 'same' | 'any' | readonly string[]
  /**
   * Whether all clients come through a proxy which sets X-Forwarded-For, -Proto and -Host: then these say the client's
   * address and the server's own origin, each by its last entry. @default false
   */
  readonly trustProxy?: boolean
  /** Open sockets of the namespace at once, and connections of a server; further ones are refused. @default 20_000 */
  readonly maxConnections?: number
  /** The same for each address other than this machine's own. @default 200 */
  readonly maxConnectionsPerAddress?: number
  /** Connections a second, and at once after a pause; further ones are refused. @default 200 */
  readonly acceptRate?: number
}

/** A socket.io `Server` or `Namespace`, whatever its events are typed as. */
export interface SocketIoTarget {
  readonly sockets: unknown
  use(middleware: never): unknown
  on(event: never, listener: never): unknown
}

/** The undo of `serveSocketIo`. */
export interface SocketIoService {
  /**
   * Lets nobody in any more, says `goodbye` 4452 to the clients that are there, waits until they have got what was sent
   * to them, and ends those which have not within `timeout` milliseconds. The socket.io server stays as it is. Close the
   * API before it or with it, so that its replies go out first.
   */
  close(options?: { /** @default 30_000 */ readonly timeout?: number }): Promise<void>
}

/** Namespaces that have been served, now or before: socket.io's middleware cannot be taken off again. */
const served = new WeakSet<Namespace>()

/**
 * Serves an API to the clients of a socket.io server, in its main namespace, or of one namespace. Given a server, it also
 * refuses foreign pages, and more connections than there may be, before socket.io has opened them: for all of its
 * namespaces.
 * Reports (`socket.io.options`) a server whose options leave clients more than the limits of the API: see
 * `socketIoOptions`.
 * @throws TypeError if the target is none, or is or was served, or an origin is not written as browsers send it.
 */
export function serveSocketIo(api: Api, target: SocketIoTarget, options: SocketIoOptions = {}): SocketIoService {
  if (typeof target.use !== 'function') throw new TypeError('expected a socket.io Server or Namespace')
  const server = 'of' in target ? (target as unknown as Server) : null
  const namespace = server === null ? (target as unknown as Namespace) : server.of('/')
  const service = new Service(api, namespace, options)
  service.open(server)
  return service
}

class Service implements SocketIoService, SocketContext {
  readonly queue: WriteQueue
  readonly maxFrame: number
  private readonly api: Api
  private readonly namespace: Namespace
  private readonly policy: OriginPolicy
  private readonly limits: AcceptLimits
  /** Of sockets, of which a connection may have several. */
  private readonly gate: AcceptGate
  private readonly binary: ReadonlyMap<Codec, boolean>
  /** A dynamic namespace has children, each with packets of its own. */
  private readonly writers = new WeakMap<Namespace, FrameWriter>()
  private readonly sockets: OpenSockets<SocketIoSocket>
  private readonly admitted = new WeakSet<Socket>()
  private readonly tallies = new WeakMap<EngineConnection, ConnectionTally>()
  private closeDoor: (() => void) | null = null
  private closing: Promise<void> | null = null
  private readonly onConnection = (socket: Socket): void => this.accept(socket)

  constructor(api: Api, namespace: Namespace, options: SocketIoOptions) {
    this.api = api
    this.queue = new WriteQueue(api.clock)
    this.sockets = new OpenSockets(api.clock)
    this.namespace = namespace
    this.maxFrame = api.limits.frame
    this.policy = { origins: options.origins ?? 'same', trustProxy: options.trustProxy ?? false }
    assertOrigins(this.policy)
    this.limits = {
      clients: options.maxConnections ?? 20_000,
      clientsPerAddress: options.maxConnectionsPerAddress ?? 200,
      rate: options.acceptRate ?? 200,
    }
    this.gate = this.newGate()
    this.binary = new Map(api.codecs.map((codec) => [codec, typeof codec.encode({ type: 'pong' }) !== 'string']))
  }

  open(server: Server | null): void {
    if (served.has(this.namespace)) throw new TypeError(`the namespace ${this.namespace.name} is already served`)
    served.add(this.namespace)
    this.namespace.use((socket, next) => {
      const refusal = this.refusalOf(socket)
      if (refusal === undefined) {
        this.admitted.add(socket)
        next()
      } else {
        next(Object.assign(new Error(refusal.message), { data: { code: refusal.code } }))
      }
    })
    this.namespace.on('connection', this.onConnection)
    if (server !== null) this.closeDoor = new EngineDoor(server, this.policy, this.newGate()).open()
    const unsafe = unsafeOptions(this.namespace.server, this.api)
    if (unsafe.length === 0) return
    const message = `the socket.io server leaves clients more than the limits of the API: ${unsafe.join('; ')}`
    this.api.report(new RangeError(`${message}. Give \`socketIoOptions(api)\` to \`new Server\`.`), {
      during: 'socket.io.options',
    })
  }

  closed({ terms, conn }: SocketIoSocket): void {
    this.gate.leave(terms.address)
    this.tallyOf(conn).leave()
  }

  gone(socket: SocketIoSocket): void {
    this.sockets.delete(socket)
  }

  close({ timeout = 30_000 }: { readonly timeout?: number } = {}): Promise<void> {
    return (this.closing ??= this.drain(timeout))
  }

  private async drain(timeout: number): Promise<void> {
    await this.sockets.drain(timeout)
    this.namespace.off('connection', this.onConnection)
    this.closeDoor?.()
  }

  /** Why this socket may not join, if it may not. */
  private refusalOf(socket: Socket): Refusal | undefined {
    const tally = this.tallyOf(socket.conn)
    const attempt = tally.attempt(this.api.clock.monotonic())
    if (attempt === 'too many') {
      socket.conn.close()
      return { code: closeCodes.abuse, message: 'Too many attempts to connect.' }
    }
    if (tally.isFull) return { code: closeCodes.abuse, message: 'Too many namespaces over one connection.' }
    if (this.sockets.isDraining) return { code: closeCodes.draining, message: 'The server is shutting down.' }
    const origin = originRefusal(socket, this.policy)
    if (origin !== undefined) return origin
    const codec = chooseCodec(socket, this.api.codecs)
    if (!('name' in codec)) return codec
    const full = this.gate.fullness(addressOf(socket, this.policy))
    if (full !== undefined) return { code: closeCodes.draining, message: full }
    // A connection pays once, if not at the door; what it tries over and over is counted for itself.
    const haste = attempt === 'first' && this.closeDoor === null ? this.gate.haste() : undefined
    if (haste !== undefined) return { code: closeCodes.draining, message: haste }
    return tokenRefusal(socket)
  }

  private newGate(): AcceptGate {
    return new AcceptGate(this.limits, this.api.clock)
  }

  private tallyOf(conn: EngineConnection): ConnectionTally {
    const known = this.tallies.get(conn)
    if (known !== undefined) return known
    const tally = new ConnectionTally(this.api.clock.monotonic())
    this.tallies.set(conn, tally)
    return tally
  }

  private accept(socket: Socket): void {
    // A listener before this one may have sent it away, which nobody would be told of.
    if (!socket.connected) return
    // The recovery of a lost connection skips middleware: who comes back by it is looked at all the same.
    const refusal = this.admitted.has(socket) ? undefined : this.refusalOf(socket)
    const codec = chooseCodec(socket, this.api.codecs)
    // Unless the codecs have changed since, this is what the middleware has found.
    if (!('name' in codec)) return void socket.disconnect()
    const address = addressOf(socket, this.policy)
    const terms = { codec, binary: this.binary.get(codec) ?? false, writer: this.writerFor(socket.nsp), address }
    // Others may have come in while the rest of the middleware was busy.
    const full = this.gate.fullness(address)
    this.gate.enter(address)
    this.tallyOf(socket.conn).enter()
    const link = new SocketIoSocket(socket, terms, this)
    this.sockets.add(link)
    if (refusal !== undefined) return link.goodbye(refusal.code, 'refused')
    if (this.sockets.isDraining) return link.goodbye(closeCodes.draining, 'draining')
    if (full !== undefined) return link.goodbye(closeCodes.draining, 'too many connections')
    link.attach(this.api.accept(link, describeHandshake(socket, address), codec))
  }

  private writerFor(namespace: Namespace): FrameWriter {
    const known = this.writers.get(namespace)
    if (known !== undefined) return known
    const writer = new FrameWriter(namespace)
    this.writers.set(namespace, writer)
    return writer
  }
}
