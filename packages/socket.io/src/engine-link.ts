import type { Socket } from 'socket.io'
import { type PacketChain, WriteOptions } from './packets.ts'

/** The Engine.IO connection below a socket.io socket. */
export type EngineConnection = Socket['conn']
type EngineTransport = EngineConnection['transport']

/** What Engine.IO's transports have besides what they declare; all of it may be missing. */
interface TransportParts {
  readonly perMessageDeflate?: unknown
  /** Of a WebSocket. */
  readonly socket?: {
    readonly readyState?: number
    readonly bufferedAmount?: number
    readonly _sender?: { readonly sendFrame?: unknown }
    terminate?(): void
  }
  /** Of polling: the answer to the poll that waits. */
  readonly res?: { readonly writableLength?: number; once?(event: 'close', listener: () => void): unknown } | null
}

const OPEN = 1

/**
 * Writes packets to the connection below a socket, and knows how much of them is still in this process. They are held
 * back while the transport is busy, so that all that has gathered goes out at once when it is ready: in one write to a
 * WebSocket, in one answer to a poll.
 */
export class EngineLink {
  private readonly conn: EngineConnection
  private readonly onRoom: () => void
  private transport: EngineTransport
  private waiting: PacketChain | null = null
  /** Bytes of packets that had to be left to Engine.IO while its transport was busy. */
  private left = 0
  /** Bytes of answers to polls that the system has not taken yet. */
  private unread = 0
  private blocked = false

  constructor(conn: EngineConnection, onRoom: () => void) {
    this.conn = conn
    this.onRoom = onRoom
    this.transport = conn.transport
    this.transport.on('ready', this.onReady)
    conn.on('upgrade', this.onUpgrade)
    conn.on('packetCreate', this.onPacket)
  }

  get bufferedAmount(): number {
    const waiting = this.waiting === null ? 0 : this.waiting.byteLength
    // Asked before every frame: a transport that took all it was given is not looked at.
    return this.blocked ? waiting + this.left + this.below : waiting
  }

  /** Whether nothing waits to be written. */
  get isIdle(): boolean {
    return this.waiting === null
  }

  add(packet: PacketChain): void {
    this.waiting = this.waiting === null ? packet : this.waiting.append(packet)
  }

  /** Writes what waits if the transport can take it now. */
  flush(): void {
    const { waiting, transport, conn } = this
    if (waiting === null) return
    if (conn.readyState !== 'open') {
      this.waiting = null
      return
    }
    if (!transport.writable) {
      this.blocked = true
      return
    }
    this.waiting = null
    if (takesFrames(transport, conn)) {
      // It can take no more frames once the other side has begun to close.
      if (partsOf(transport).socket?.readyState !== OPEN) return
      conn.write('', waiting.forWebSocket())
      if (this.below > 0) this.blocked = true
    } else if (transport.name === 'polling' && conn.protocol === 4 && waiting.forPolling() !== '') {
      this.answerPoll(waiting.forPolling())
    } else {
      this.writeApart(waiting)
    }
  }

  /** Hands everything over, whether or not the transport can take it. */
  finish(): void {
    this.flush()
    if (this.waiting === null) return
    const { waiting } = this
    this.waiting = null
    this.writeApart(waiting)
  }

  /** Stops listening. */
  detach(): void {
    this.waiting = null
    this.transport.off('ready', this.onReady)
    this.conn.off('upgrade', this.onUpgrade)
    this.conn.off('packetCreate', this.onPacket)
  }

  /** Bytes that the transport holds. */
  private get below(): number {
    return this.unread + (partsOf(this.transport).socket?.bufferedAmount ?? 0)
  }

  /** A client may ask for the next answer without having read this one. */
  private answerPoll(payload: string): void {
    const { res } = partsOf(this.transport)
    this.conn.write(payload, new WriteOptions())
    const size = res?.writableLength ?? 0
    if (size === 0 || res?.once === undefined) return
    this.unread += size
    this.blocked = true
    res.once('close', () => {
      this.unread -= size
      this.lookForRoom()
    })
  }

  private writeApart(chain: PacketChain): void {
    for (const packet of chain.toPackets()) {
      for (const part of packet) {
        if (!this.transport.writable) {
          this.left += Buffer.byteLength(part)
          this.blocked = true
        }
        this.conn.write(part, new WriteOptions())
      }
    }
  }

  /** What the application itself emits goes behind what was sent before it. */
  private readonly onPacket = ({ type, options }: { readonly type: string; readonly options?: unknown }): void => {
    if (this.waiting !== null && type === 'message' && !(options instanceof WriteOptions)) this.finish()
  }

  /** Engine.IO, which listens too, has written what was left to it before. */
  private readonly onReady = (): void => {
    this.left = 0
    this.lookForRoom()
  }

  private lookForRoom(): void {
    if (!this.blocked) return
    this.flush()
    if (this.waiting !== null || this.left > 0 || this.below > 0) return
    this.blocked = false
    this.onRoom()
  }

  private readonly onUpgrade = (): void => {
    this.transport.off('ready', this.onReady)
    this.transport = this.conn.transport
    this.transport.on('ready', this.onReady)
    // What is left is written right after this event.
    setImmediate(this.onReady)
  }
}

/** Ends a connection at once, however much the client has still to read. */
export function terminate({ transport }: EngineConnection): void {
  const { socket } = partsOf(transport)
  if (socket?.terminate !== undefined) return socket.terminate()
  transport.emit('close')
}

function partsOf(transport: EngineTransport): TransportParts {
  return transport as unknown as TransportParts
}

/** Whether the transport writes ready WebSocket frames: what Engine.IO asks itself before it does. */
function takesFrames(transport: EngineTransport, { protocol }: EngineConnection): boolean {
  const { perMessageDeflate, socket } = partsOf(transport)
  if (transport.name !== 'websocket' || protocol !== 4 || perMessageDeflate) return false
  return typeof socket?._sender?.sendFrame === 'function'
}
