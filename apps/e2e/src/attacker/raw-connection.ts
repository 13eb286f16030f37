import { once } from 'node:events'
import { type Socket, connect } from 'node:net'

/** Milliseconds for what should happen at once, on a machine that is busy with much else. */
const patience = 30_000

/** A frame of a WebSocket, as it came. */
interface RawFrame {
  readonly opcode: number
  readonly payload: Buffer
}

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** A TCP connection on which an attacker says every byte, and keeps every byte that comes. */
export class RawConnection {
  readonly socket: Socket
  received: Buffer = Buffer.alloc(0)
  isOver = false
  #look: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#look()
    })
    socket.on('close', () => {
      this.isOver = true
      this.#look()
    })
    // A server that has said all it wants ends its side first.
    socket.on('end', () => socket.end())
  }

  /** @param from - another address of this machine, where addresses are counted. */
  static async open(port: number, from = '127.0.0.1'): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  write(...parts: readonly (string | Buffer)[]): void {
    for (const part of parts) if (!this.socket.destroyed) this.socket.write(part)
  }

  /** All that has come, as text. */
  get text(): string {
    return this.received.toString('utf8')
  }

  /** The head of the first answer, once it is whole; the end without one is status 0. */
  answer(): Promise<RawAnswer> {
    return this.until('an answer', () => {
      const end = this.received.indexOf('\r\n\r\n')
      if (end < 0) return this.isOver ? { status: 0, headers: {} } : undefined
      const [first = '', ...lines] = this.received.toString('latin1', 0, end).split('\r\n')
      const headers = Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
      )
      return { status: Number(first.split(' ')[1]), headers }
    })
  }

  /** The frames behind an upgrade. */
  get frames(): readonly RawFrame[] {
    const frames: RawFrame[] = []
    let at = this.received.indexOf('\r\n\r\n') + 4
    const bytes = this.received
    while (at >= 4 && at + 2 <= bytes.length) {
      const short = bytes.readUInt8(at + 1) & 0x7f
      const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
      if (start > bytes.length) break
      const length =
        short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
      if (start + length > bytes.length) break
      frames.push({ opcode: bytes.readUInt8(at) & 0x0f, payload: bytes.subarray(start, start + length) })
      at = start + length
    }
    return frames
  }

  /** How the server ends it: the code of its close frame, 1005 if that has none, 1006 without such a frame. */
  closeCode(): Promise<number> {
    return this.until('the end', () => {
      const close = this.frames.find(({ opcode }) => opcode === 8)
      if (close !== undefined) return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0)
      return this.isOver ? 1006 : undefined
    })
  }

  /** Waits until the server has ended the connection. */
  async ended(): Promise<void> {
    await this.until('the end', () => (this.isOver ? true : undefined))
  }

  /** Waits until something stands in what has come. */
  async says(what: string | RegExp): Promise<string> {
    return await this.until(`${what}`, () => {
      if (typeof what === 'string' ? this.text.includes(what) : what.test(this.text)) return this.text
      if (this.isOver) throw new Error(`waited for ${what}, and the connection ended: ${this.text.slice(-1_000)}`)
      return undefined
    })
  }

  until<T>(what: string, take: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited ${patience} ms for ${what}: ${this.text.slice(-1_000)}`)),
        patience,
      )
      const look = (): void => {
        try {
          const found = take()
          if (found === undefined) return
          clearTimeout(timer)
          resolve(found)
        } catch (error) {
          clearTimeout(timer)
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
      this.#look = look
      look()
    })
  }

  close(): void {
    this.socket.destroy()
  }
}
