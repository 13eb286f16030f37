import { randomBytes } from 'node:crypto'
import { type Socket, connect } from 'node:net'
import type { Endpoint } from '../commands.ts'
import type { SignOfLife } from './dialect.ts'

/** What a socket tells its owner; one object serves many sockets. */
export interface LoadEvents {
  opened(socket: LoadSocket): void
  /** Whole frames, headers and all; the bytes are valid only until this returns. */
  frames(socket: LoadSocket, bytes: Buffer): void
  closed(socket: LoadSocket): void
}

/** All sockets read into the same memory: what is read is dealt with before the next read. */
const shared = Buffer.alloc(262_144)
const EMPTY = Buffer.alloc(0)

/**
 * A WebSocket client on a bare socket, as cheap as it can be: it looks at the frames' lengths, and leaves their contents
 * to be searched as bytes.
 */
export class LoadSocket {
  readonly index: number
  private readonly events: LoadEvents
  private readonly signsOfLife: readonly SignOfLife[]
  private readonly socket: Socket
  /** The beginning of a frame whose end has not come yet. */
  private rest: Buffer = EMPTY
  private open = false

  /** @param signsOfLife - what the server asks after a long silence, and what it wants to hear. */
  constructor(
    index: number,
    { port, path, protocol }: Endpoint,
    signsOfLife: readonly SignOfLife[],
    events: LoadEvents,
  ) {
    this.index = index
    this.signsOfLife = signsOfLife
    this.events = events
    this.socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: shared, callback: (length) => this.read(length) },
    })
    this.socket.on('error', () => this.socket.destroy())
    this.socket.on('close', () => events.closed(this))
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ]
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }

  /** Sends a text frame, masked by zeroes: that is as good a key as any between processes of one machine. */
  send(text: string): void {
    const length = Buffer.byteLength(text)
    const header = length < 126 ? 6 : length < 65_536 ? 8 : 14
    const frame = Buffer.alloc(header + length)
    frame[0] = 0x81
    if (header === 6) {
      frame[1] = 0x80 | length
    } else if (header === 8) {
      frame[1] = 0xfe
      frame.writeUInt16BE(length, 2)
    } else {
      frame[1] = 0xff
      frame.writeBigUInt64BE(BigInt(length), 2)
    }
    frame.write(text, header)
    this.socket.write(frame)
  }

  destroy(): void {
    this.socket.destroy()
  }

  private read(length: number): boolean {
    const fresh = shared.subarray(0, length)
    let bytes = this.rest.length === 0 ? fresh : Buffer.concat([this.rest, fresh])
    if (!this.open) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        this.rest = Buffer.from(bytes)
        return true
      }
      const status = bytes.toString('latin1', 9, 12)
      if (status !== '101') throw new Error(`the handshake was answered: ${bytes.toString('latin1', 0, 1_000)}`)
      this.open = true
      this.rest = EMPTY
      this.events.opened(this)
      bytes = bytes.subarray(end + 4)
    }
    const end = this.endOfFrames(bytes)
    if (end > 0) this.events.frames(this, bytes.subarray(0, end))
    this.rest = end === bytes.length ? EMPTY : Buffer.from(bytes.subarray(end))
    return true
  }

  /** Where the last whole frame ends. */
  private endOfFrames(bytes: Buffer): number {
    let end = 0
    while (end + 2 <= bytes.length) {
      const short = bytes[end + 1] ?? 0
      const start = end + (short < 126 ? 2 : short === 126 ? 4 : 10)
      if (start > bytes.length) break
      const length =
        short < 126 ? short : short === 126 ? bytes.readUInt16BE(end + 2) : Number(bytes.readBigUInt64BE(end + 2))
      if (start + length > bytes.length) break
      end = start + length
      for (const { question, answer } of this.signsOfLife) {
        if (length === question.length && bytes.toString('latin1', start, end) === question) this.send(answer)
      }
    }
    return end
  }
}
