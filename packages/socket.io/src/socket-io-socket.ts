import { randomUUID } from 'node:crypto'
import {
  type CloseCode,
  type Codec,
  type EncodedFrame,
  type Flushable,
  type SocketEvents,
  type TransportSocket,
  type WriteQueue,
  closeCodes,
  comesBack,
} from '@rtapi/core'
import type { Socket } from 'socket.io'
import { type EngineConnection, EngineLink, terminate } from './engine-link.ts'
import { EVENT, type FrameWriter } from './packets.ts'

/** What the sockets of one service share. */
export interface SocketContext {
  readonly queue: WriteQueue
  /** Bytes of the largest frame that is taken. */
  readonly maxFrame: number
  /** The socket is closed; what was sent may still be on its way. */
  closed(socket: SocketIoSocket): void
  /** Nothing is left of it. */
  gone(socket: SocketIoSocket): void
}

/** What one client has chosen, and how frames are written for it. */
export interface SocketTerms {
  readonly codec: Codec
  /** Whether the codec writes bytes. */
  readonly binary: boolean
  readonly writer: FrameWriter
  readonly address: string
}

/** What socket.io says when the whole server is closed: it then ends the connections itself, at once. */
const SHUTDOWN = 'server shutting down'
/** Frames of this size may be a goodbye. */
const GOODBYE_MAX = 512

/** One client of the transport: one socket.io socket, which may share its connection with those of other namespaces. */
export class SocketIoSocket implements TransportSocket, Flushable {
  readonly id: string = randomUUID()
  readonly terms: SocketTerms
  readonly conn: EngineConnection
  private readonly socket: Socket
  private readonly context: SocketContext
  private readonly link: EngineLink
  private events: SocketEvents | null = null
  /** What was sent last, if it may be a goodbye: not the frame, since its wire form keeps far more memory alive. */
  private last: string | Uint8Array | null = null
  private closing = false
  private closeCode = 0
  private closeReason = ''

  constructor(socket: Socket, terms: SocketTerms, context: SocketContext) {
    this.socket = socket
    // Where the socket has been closed, it no longer tells.
    this.conn = socket.conn
    this.terms = terms
    this.context = context
    this.link = new EngineLink(socket.conn, () => this.events?.drained())
    socket.on(EVENT, (...args: readonly unknown[]) => this.received(args))
    socket.on('disconnect', (reason) => this.ended(reason))
  }

  /** Says where frames go; called once, before the first of them can arrive. */
  attach(events: SocketEvents): void {
    this.events = events
  }

  send(frame: EncodedFrame): void {
    if (this.closing) return
    this.last = frame.data.length > GOODBYE_MAX ? null : frame.data
    if (this.link.isIdle) this.context.queue.add(this)
    this.link.add(this.terms.writer.chainOf(frame))
  }

  get bufferedAmount(): number {
    return this.link.bufferedAmount
  }

  flush(): void {
    this.link.flush()
  }

  /** socket.io has no close codes: a `goodbye` says the code, and is sent here if it is not what was sent last. */
  close(code: number, reason: string): void {
    if (this.closing) return
    if (!this.saidGoodbye()) this.send(this.goodbyeFrame(code as CloseCode, reason))
    this.closing = true
    this.closeCode = code
    this.closeReason = reason
    this.link.finish()
    this.socket.disconnect()
  }

  /** Says goodbye in the codec of the client, then closes. */
  goodbye(code: CloseCode, reason: string, after?: number): void {
    if (this.closing) return
    this.send(this.goodbyeFrame(code, reason, after))
    this.close(code, reason)
  }

  /** Ends the connection at once. */
  terminate(): void {
    terminate(this.conn)
  }

  private received(args: readonly unknown[]): void {
    if (this.closing) return
    // A client may ask for an acknowledgement, which it does not get.
    const data: unknown = args.length === 1 || typeof args[1] === 'function' ? args[0] : undefined
    const isFrame = this.terms.binary ? Buffer.isBuffer(data) : typeof data === 'string'
    if (!isFrame || args.length > 2) {
      this.goodbye(closeCodes.badFrame, this.terms.binary ? 'expected bytes' : 'expected a text')
      return
    }
    const frame = data as string | Buffer
    if (Buffer.byteLength(frame) > this.context.maxFrame) this.goodbye(closeCodes.tooBig, 'frame too big')
    else this.events?.receive(frame)
  }

  private ended(reason: string): void {
    this.closing = true
    this.link.detach()
    this.context.closed(this)
    // A connection that goes on for others writes what was sent by itself; one that is good for nothing is ended.
    const shared = isShared(this.socket)
    if (!shared && reason !== SHUTDOWN) this.conn.close()
    if (shared || this.conn.readyState === 'closed') this.context.gone(this)
    else this.conn.once('close', () => this.context.gone(this))
    const code = this.closeCode === 0 ? (reason === 'client namespace disconnect' ? 1000 : 1006) : this.closeCode
    const text = this.closeCode === 0 ? reason : this.closeReason
    // Later: whoever closes is not called back while it does.
    queueMicrotask(() => {
      this.events?.closed(code, text)
      this.events = null
    })
  }

  private saidGoodbye(): boolean {
    if (this.last === null) return false
    try {
      const message = this.terms.codec.decode(this.last)
      return typeof message === 'object' && message !== null && 'type' in message && message.type === 'goodbye'
    } catch {
      return false
    }
  }

  private goodbyeFrame(code: CloseCode, reason: string, after?: number): EncodedFrame {
    const rest = after === undefined ? {} : { after }
    return { data: this.terms.codec.encode({ type: 'goodbye', code, reason, again: comesBack(code), ...rest }) }
  }
}

/** Whether other namespaces use the connection of this socket too; so it is taken to be where that cannot be seen. */
function isShared({ client, id }: Socket): boolean {
  const { sockets } = client as unknown as { readonly sockets?: ReadonlyMap<string, unknown> }
  return sockets === undefined || sockets.size > (sockets.has(id) ? 1 : 0)
}
