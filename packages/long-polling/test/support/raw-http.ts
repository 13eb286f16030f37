import { once } from 'node:events'
import { type Socket, connect } from 'node:net'

/** A connection on which the test says every byte itself. */
export class RawHttp {
  readonly socket: Socket
  text = ''
  isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => (this.isClosed = true))
  }

  static async open(port: number): Promise<RawHttp> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawHttp(socket)
  }

  /** Sends lines, and an empty one behind them. */
  head(...lines: readonly string[]): void {
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }

  /** Everything that comes until the server ends the connection. */
  async untilClosed(): Promise<string> {
    if (!this.isClosed) await once(this.socket, 'close')
    return this.text
  }

  /** Waits until something has come. */
  async until(text: string): Promise<string> {
    while (!this.text.includes(text)) await once(this.socket, 'data')
    return this.text
  }
}
