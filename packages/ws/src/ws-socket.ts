import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  type Codec,
  type EncodedFrame,
  type Flushable,
  type SocketEvents,
  type TransportSocket,
  type WriteQueue,
  closeCodes,
} from '@rtapi/core'
import { type RawData, WebSocket } from 'ws'
import { type FrameChain, chainOf } from './frame-chain.ts'
import type { Share, Turns, Waiter } from './turns.ts'

/** The WebSocket of ws, which knows its owner: so its event listeners are plain functions, one for all sockets. */
export class OwnedWebSocket extends WebSocket {
  owner: WsSocket | null = null
}

/** What the sockets of one server share. */
export interface SocketContext {
  readonly queue: WriteQueue
  readonly turns: Turns
  /** Control frames within ten seconds that close a connection when they are passed. */
  readonly controlFrames: number
  monotonic(): number
  gone(socket: WsSocket): void
}

const CONTROL_WINDOW = 10_000
/** Pongs are not queued behind more than this: who does not read gets none. */
const PONG_BACKLOG = 65_536
const EMPTY = Buffer.alloc(0)

/**
 * One client of the transport. Frames go straight to the network socket, as whole unfragmented WebSocket frames; ws reads
 * the other direction, answers the closing handshake and owns the socket's life.
 */
export class WsSocket implements TransportSocket, Flushable, Waiter {
  readonly id: string = randomUUID()
  readonly codec: Codec
  readonly address: string
  private readonly ws: OwnedWebSocket
  private readonly raw: Socket
  private readonly context: SocketContext
  private readonly binary: boolean
  private events: SocketEvents | null = null
  private waiting: FrameChain | null = null
  private readonly share: Share = { turn: -1, used: 0 }
  /** Frames that wait for their turn; nothing more is read meanwhile. */
  private backlog: Buffer[] | null = null
  private backlogFrom = 0
  private blocked = false
  private closing = false
  private closeCode = 0
  private closeReason = ''
  /** The link is gone. */
  private isOver = false
  private controlSince = 0
  private controlCount = 0
  private bytesAtFrame: number
  private stalled = false

  constructor(ws: OwnedWebSocket, raw: Socket, codec: Codec, binary: boolean, address: string, context: SocketContext) {
    this.ws = ws
    this.raw = raw
    this.codec = codec
    this.binary = binary
    this.address = address
    this.context = context
    this.bytesAtFrame = raw.bytesRead
    ws.owner = this
    ws.on('message', onMessage)
    ws.on('ping', onPing)
    ws.on('pong', onPong)
    ws.on('error', onError)
    ws.on('close', onClose)
  }

  /** Says where frames go; called once, before the first of them can arrive. */
  attach(events: SocketEvents): void {
    this.events = events
  }

  send(frame: EncodedFrame): void {
    if (this.closing) return
    const chain = chainOf(frame)
    if (this.waiting === null) {
      this.waiting = chain
      this.context.queue.add(this)
    } else {
      this.waiting = this.waiting.append(chain)
    }
  }

  get bufferedAmount(): number {
    const waiting = this.waiting === null ? 0 : this.waiting.byteLength
    // Asked before every frame: a socket that took all it was given is not looked at.
    return this.blocked ? waiting + this.raw.writableLength : waiting
  }

  flush(): void {
    const waiting = this.waiting
    if (waiting === null) return
    this.waiting = null
    // After a close frame nothing may follow (RFC 6455, 5.5.1); the other side may have begun to close meanwhile.
    if (this.ws.readyState !== WebSocket.OPEN) return
    this.raw.write(waiting.toBuffer())
    if (!this.blocked && this.raw.writableLength > 0) this.awaitRoom()
  }

  close(code: number, reason: string): void {
    if (this.closing) return
    this.closing = true
    this.dropBacklog()
    this.flush()
    // Whoever began to close first names the code.
    if (this.ws.readyState !== WebSocket.OPEN) return
    this.closeCode = code
    this.closeReason = reason
    this.ws.close(code, reason)
    // Nobody is there to answer the close frame.
    if (code === closeCodes.heartbeat) this.raw.destroySoon()
  }

  /** Says goodbye in the codec of the client, then closes. */
  goodbye(code: (typeof closeCodes)[keyof typeof closeCodes], reason: string, after?: number): void {
    if (this.closing) return
    const again = code >= 4450
    const message = { type: 'goodbye', code, reason, again, ...(after === undefined ? {} : { after }) } as const
    this.send({ data: this.codec.encode(message), wire: undefined })
    this.close(code, reason)
  }

  /** Ends the link at once. */
  terminate(): void {
    this.ws.terminate()
  }

  /** Called every few seconds: a client that has begun a frame at the last call and not ended it by now is closed. */
  checkProgress(): void {
    if (this.closing) return
    if (this.raw.bytesRead === this.bytesAtFrame || this.backlog !== null) this.stalled = false
    else if (this.stalled) this.goodbye(closeCodes.badFrame, 'frame not finished in time')
    else this.stalled = true
  }

  received(data: RawData, isBinary: boolean): void {
    this.sawFrame()
    if (this.closing) return
    if (isBinary !== this.binary) {
      this.goodbye(closeCodes.badFrame, this.binary ? 'expected binary frames' : 'expected text frames')
      return
    }
    // ws gives a Buffer unless it was told otherwise.
    const bytes = data as Buffer
    if (this.backlog !== null) this.backlog.push(bytes)
    else if (this.context.turns.take(this.share, bytes.length)) this.deliver(bytes)
    else this.waitTurn(bytes)
  }

  serveNext(): 'served' | 'waits' | 'done' {
    const bytes = this.backlog?.[this.backlogFrom]
    if (bytes === undefined) {
      this.caughtUp()
      return 'done'
    }
    if (!this.context.turns.take(this.share, bytes.length)) return 'waits'
    this.backlogFrom++
    this.deliver(bytes)
    return 'served'
  }

  /** Counts a ping or pong; false if there were too many. */
  receivedControl(): boolean {
    this.sawFrame()
    if (this.closing) return false
    const now = this.context.monotonic()
    if (now - this.controlSince > CONTROL_WINDOW) {
      this.controlSince = now
      this.controlCount = 0
    }
    if (++this.controlCount <= this.context.controlFrames) return true
    this.goodbye(closeCodes.abuse, 'too many pings')
    return false
  }

  pong(data: Buffer): void {
    if (this.ws.readyState === WebSocket.OPEN && this.raw.writableLength < PONG_BACKLOG) this.ws.pong(data)
  }

  failed(error: Error): void {
    if (this.closeCode === 0) this.closeCode = codeOfFailure(error)
  }

  ended(code: number, reason: Buffer): void {
    this.closing = true
    this.waiting = null
    if (this.closeCode === 0) {
      this.closeCode = code
      this.closeReason = reason.toString()
    }
    this.isOver = true
    // What the other side sent before it closed is served first.
    if (this.backlog === null) this.finish()
  }

  private finish(): void {
    const events = this.events
    this.events = null
    this.context.gone(this)
    events?.closed(this.closeCode, this.closeReason)
  }

  private deliver(bytes: Buffer): void {
    this.events?.receive(this.binary ? bytes : bytes.toString())
  }

  private waitTurn(bytes: Buffer): void {
    this.backlog = [bytes]
    this.ws.pause()
    this.context.turns.wait(this)
  }

  private dropBacklog(): void {
    if (this.backlog === null) return
    this.context.turns.leave(this)
    this.caughtUp()
  }

  private caughtUp(): void {
    this.backlog = null
    this.backlogFrom = 0
    if (this.isOver) this.finish()
    else this.ws.resume()
  }

  private sawFrame(): void {
    this.bytesAtFrame = this.raw.bytesRead
    this.stalled = false
  }

  /** An empty write is done when everything before it has been taken by the operating system. */
  private awaitRoom(): void {
    this.blocked = true
    this.raw.write(EMPTY, () => {
      this.blocked = false
      if (this.ws.readyState !== WebSocket.OPEN) return
      if (this.raw.writableLength > 0) this.awaitRoom()
      else this.events?.drained()
    })
  }
}

/** Close codes that ws has sent for what it could not read. */
function codeOfFailure(error: Error): number {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (!code.startsWith('WS_ERR_')) return 1006
  if (code === 'WS_ERR_INVALID_UTF8') return 1007
  if (code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS') return 1008
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || code === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH') return 1009
  return 1002
}

function ownerOf(ws: WebSocket): WsSocket | null {
  return (ws as OwnedWebSocket).owner
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  ownerOf(this)?.received(data, isBinary)
}

function onPing(this: WebSocket, data: Buffer): void {
  const owner = ownerOf(this)
  if (owner?.receivedControl()) owner.pong(data)
}

function onPong(this: WebSocket): void {
  ownerOf(this)?.receivedControl()
}

function onError(this: WebSocket, error: Error): void {
  ownerOf(this)?.failed(error)
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  ownerOf(this)?.ended(code, reason)
}
