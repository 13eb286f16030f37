import type { Socket } from 'socket.io'
import type { PacketChain } from './packets.ts'

/** The Engine.IO connection below a socket.io socket. */
export type EngineConnection = Socket['conn']
type EngineTransport = EngineConnection['transport']

/** What Engine.IO's WebSocket transport has besides; its declarations keep it private. */
interface WebSocketTransport {
  readonly perMessageDeflate?: unknown
  readonly socket?: {
    readonly readyState?: number
    readonly bufferedAmount?: number
    readonly _sender?: { readonly sendFrame?: unknown }
    terminate?(): void
  }
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
  private blocked = false

  constructor(conn: EngineConnection, onRoom: () => void) {
    this.conn = conn
    this.onRoom = onRoom
    this.transport = conn.transport
    this.transport.on('ready', this.onReady)
    conn.on('upgrade', this.onUpgrade)
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
    if (takesFrames(transport)) {
      // It can take no more frames once the other side has begun to close.
      if (webSocketOf(transport)?.readyState !== OPEN) return
      if (waiting.isText) conn.write('', waiting.forWebSocket())
      else this.writeApart(waiting)
      if (this.below > 0) this.blocked = true
    } else if (waiting.isText && transport.name === 'polling' && conn.protocol === 4) {
      conn.write(waiting.forPolling(), { compress: false })
    } else {
      this.writeApart(waiting)
    }
  }

  /** Hands everything over, whether or not the transport can take it: nothing more will be written. */
  finish(): void {
    this.flush()
    if (this.waiting === null) return
    this.writeApart(this.waiting)
    this.waiting = null
  }

  /** Stops listening. */
  detach(): void {
    this.waiting = null
    this.transport.off('ready', this.onReady)
    this.conn.off('upgrade', this.onUpgrade)
  }

  /** Bytes that the WebSocket holds. */
  private get below(): number {
    return webSocketOf(this.transport)?.bufferedAmount ?? 0
  }

  private writeApart(chain: PacketChain): void {
    for (const packet of chain.toPackets()) {
      for (const part of packet) {
        if (!this.transport.writable) {
          this.left += Buffer.byteLength(part)
          this.blocked = true
        }
        this.conn.write(part, { compress: false })
      }
    }
  }

  /** Engine.IO, which listens too, has written what was left to it before. */
  private readonly onReady = (): void => {
    if (!this.blocked) return
    this.left = 0
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
  const socket = webSocketOf(transport)
  if (socket?.terminate !== undefined) socket.terminate()
  else transport.emit('close')
}

function webSocketOf(transport: EngineTransport): WebSocketTransport['socket'] {
  return (transport as unknown as WebSocketTransport).socket
}

/** Whether the transport writes ready WebSocket frames: what Engine.IO asks itself before it does. */
function takesFrames(transport: EngineTransport): boolean {
  const { perMessageDeflate, socket } = transport as unknown as WebSocketTransport
  return transport.name === 'websocket' && !perMessageDeflate && typeof socket?._sender?.sendFrame === 'function'
}
